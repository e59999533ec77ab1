"""Rules about the file system: is it there, who may do what on it, what does it cost, is there room."""

from collections.abc import Iterator
from typing import Final

from efsprov.aws.file_system_details import AccessPointDetails
from efsprov.functions.disk_space import DiskSpace
from efsprov.functions.facts import Facts, Unread
from efsprov.functions.finding import Finding, ok, problem, unknown, warning

_MOUNT: Final = "elasticfilesystem:ClientMount"
_WRITE: Final = "elasticfilesystem:ClientWrite"
_SMALL: Final = 100 << 30
_GIB: Final = 1 << 30
# Of the 2.1 TiB that a new file system has (https://docs.aws.amazon.com/efs/latest/ug/performance.html).
_FEW_CREDITS: Final = 100 << 30
_STARTS: Final = 100  # cold starts that read a whole release


def check_file_system(facts: Facts) -> Iterator[Finding]:
    """File system and access point are available, and the throughput mode is one for imports."""
    found, point = facts.file_system, facts.access_point
    if isinstance(found, Unread):
        yield unknown("file system", found)
    elif found is not None:
        if found.state == "available":
            yield ok("file system", f"{found.id} is available.")
        else:
            yield problem(
                "file system", f"{found.id} is {found.state}.", "Wait until it is available, or name another one."
            )
        if found.throughput == "bursting" and found.size < _SMALL:
            # https://docs.aws.amazon.com/efs/latest/ug/performance.html: 50 KiB/s a GiB once the credits are used up
            yield warning(
                "throughput mode",
                f"bursting, with {found.size / _GIB:.1f} GiB: {found.size / _GIB * 50:.0f} KiB/s once the credits are used up.",
                f"aws efs update-file-system --file-system-id {found.id} --throughput-mode elastic",
            )
        else:
            yield ok("throughput mode", f"{found.throughput}.")
    if isinstance(point, Unread):
        yield unknown("access point", point)
    elif point is not None:
        yield _access_point(point)


def check_burst_credits(facts: Facts) -> Iterator[Finding]:
    """A file system in bursting mode still has credits for some cold starts."""
    found = facts.burst_credits
    enough = max(_STARTS * _largest(facts), _FEW_CREDITS)
    if isinstance(found, Unread):
        yield unknown("burst credits", found)
    elif found is not None and found < enough:
        yield warning(
            "burst credits",
            f"{found / _GIB:.1f} GiB are left: after that, imports take what the size of the file system earns.",
            f"aws efs update-file-system --file-system-id {getattr(facts.file_system, 'id', 'ID')} --throughput-mode elastic",
        )
    elif found is not None:
        yield ok("burst credits", f"{found / _GIB:.0f} GiB.")


def check_identity_on_root(facts: Facts) -> Iterator[Finding]:
    """The access point's user may read the root and, of the builder function, write it."""
    point, disk_space = facts.access_point, facts.disk_space
    if not isinstance(point, AccessPointDetails):
        return
    if point.uid is None:
        yield warning(
            "access point user",
            f"{point.id} sets no user: each function acts as its own, and what one writes another may not replace.",
            "Use an access point with PosixUser (uid and gid).",
        )
    elif isinstance(disk_space, DiskSpace):
        yield _user_and_mode(point, disk_space)
    elif point.owner_uid is not None and point.owner_uid != point.uid and not _others_write(point.mode):
        yield warning(
            "access point user",
            f"{point.id} acts as uid {point.uid}; it makes {point.path} for uid {point.owner_uid} with mode {point.mode}.",
            "Use an access point whose PosixUser is the folder's owner.",
        )
    else:
        yield ok("access point user", f"{point.id} acts as uid {point.uid}.")


def check_permissions(facts: Facts) -> Iterator[Finding]:
    """The role may mount, and write where that is needed."""
    if facts.access_point is None or not hasattr(facts.function, "role"):
        return
    if facts.policy is None and not isinstance(facts.file_system, Unread):
        yield warning(
            "file system policy",
            "There is none: whoever reaches a mount target has full access, whatever the roles say.",
            "Set a policy that asks for an access point and IAM; `efsprov iac` writes one.",
        )
    elif isinstance(facts.policy, Unread):
        yield unknown("file system policy", facts.policy)
    else:
        yield ok("file system policy", "There is one.")
    if facts.policy is None:
        # "If a file system policy is not set, full access is granted to any anonymous client that can connect"
        # (https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html): no role is asked.
        yield ok("role's permissions", "They do not count: the file system has no policy of its own.")
        return
    if isinstance(facts.permissions, Unread):
        yield unknown(
            "role's permissions", facts.permissions, "Allow iam:SimulatePrincipalPolicy to have them checked."
        )
        return
    needed = (_MOUNT, _WRITE) if facts.builder else (_MOUNT,)
    missing = [action for action in needed if not facts.permissions.get(action, False)]
    if missing:
        # The file system's policy may grant them to the role as well, which a simulation of the role does not see.
        role = getattr(facts.function, "role", "")
        yield warning(
            "role's permissions",
            f"{role} lacks {', '.join(missing)}: mounting fails unless the file system's policy grants that.",
            "`efsprov iac iam --for attach` prints the policy.",
        )
    elif not facts.builder and facts.permissions.get(_WRITE, False):
        yield warning(
            "role's permissions",
            "The function may write, and needs only to read: what it writes into a release damages it.",
            f"Take {_WRITE} out of its role, and set a file system policy.",
        )
    else:
        yield ok("role's permissions", f"{', '.join(needed)}.")


def check_lifecycle(facts: Facts) -> Iterator[Finding]:
    """Files that nobody reads for a while do not become slow, or come back when they are read."""
    found = facts.lifecycle
    if isinstance(found, Unread):
        yield unknown("lifecycle policy", found)
    elif found is not None and (found.to_infrequent or found.to_archive):
        moved = f"after {_days(found.to_infrequent or found.to_archive)} without a read"
        if found.back:
            yield warning(
                "lifecycle policy",
                f"Files go to slower storage {moved} and come back at the first read: a rollback to an old release "
                "starts slowly, once.",
                "Keep the release that a rollback goes to warm, or take the policy away.",
            )
        else:
            yield problem(
                "lifecycle policy",
                f"Files go to slower storage {moved} and stay there: a release that a rollback goes to is exactly such.",
                "Let them come back: `aws efs put-lifecycle-configuration --lifecycle-policies ... "
                "TransitionToPrimaryStorageClass=AFTER_1_ACCESS`.",
            )
    elif found is not None:
        yield ok("lifecycle policy", "Files stay in the standard storage.")


def check_disk_space(facts: Facts) -> Iterator[Finding]:
    """There is room for one more release, and Lambda's quotas have some left."""
    disk_space, account = facts.disk_space, facts.account
    largest = _largest(facts)
    if isinstance(disk_space, Unread):
        yield unknown("free space", disk_space)
    elif disk_space is not None:
        if disk_space.free_bytes < 2 * largest or disk_space.free_bytes < _GIB:
            yield problem(
                "free space",
                f"{disk_space.free_bytes / 1e9:.1f} GB are free; the largest release has {largest / 1e9:.1f} GB.",
                "`efsprov prune` removes old releases.",
            )
        else:
            yield ok("free space", "Enough for another release.")
    if isinstance(account, Unread):
        yield unknown("Lambda quotas", account)
    elif account is not None:
        yield from _quotas(account.code_bytes, account.code_limit, account.concurrency)


def _largest(facts: Facts) -> int:
    """The bytes of the largest current release, 0 where none is known."""
    return max((c.bytes for c in facts.channels), default=0) if isinstance(facts.channels, tuple) else 0


def _quotas(code: int, limit: int, concurrency: int) -> Iterator[Finding]:
    if code > 0.9 * limit:
        yield warning(
            "Lambda quotas",
            f"{code / 1e9:.1f} of {limit / 1e9:.1f} GB of code storage are used.",
            "Delete old versions of functions and layers, or ask for more under Service Quotas.",
        )
    elif concurrency < 2:
        yield warning(
            "Lambda quotas",
            f"{concurrency} functions may run at once: a build shows no progress while it runs.",
            "Ask for more concurrent executions under Service Quotas.",
        )
    else:
        yield ok(
            "Lambda quotas", f"{(limit - code) / 1e9:.1f} GB of code storage and {concurrency} executions are free."
        )


def _access_point(point: AccessPointDetails) -> Finding:
    if point.state != "available":
        return problem("access point", f"{point.id} is {point.state}.", "Use one that is available.")
    if point.path != "/" and point.owner_uid is None:
        # https://docs.aws.amazon.com/efs/latest/ug/create-access-point.html
        return warning(
            "access point",
            f"{point.id} is for {point.path}, which it does not make: mounting fails while the folder is not there.",
            "Make the folder, or use an access point with CreationInfo (owner and permissions).",
        )
    return ok("access point", f"{point.id} is available; its folder is {point.path}.")


def _user_and_mode(point: AccessPointDetails, disk_space: DiskSpace) -> Finding:
    if disk_space.uid == point.uid or _others_write(disk_space.mode) or disk_space.writable:
        return ok("access point user", f"{point.id} acts as uid {point.uid}; the root belongs to uid {disk_space.uid}.")
    return problem(
        "access point user",
        f"{point.id} acts as uid {point.uid}; the root belongs to uid {disk_space.uid} and has mode {disk_space.mode}.",
        "Use an access point whose PosixUser is the folder's owner, or change the owner.",
    )


def _others_write(mode: str) -> bool:
    return bool(mode) and bool(int(mode, 8) & 0o002)


def _days(rule: str) -> str:
    return rule.removeprefix("AFTER_").replace("_", " ").lower()
