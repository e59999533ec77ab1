"""Waits for an instance, and says why when it is in vain."""

import contextlib
import shlex
import time
from dataclasses import replace
from typing import Final

from efsprov.aws.compute import GONE, Instance, console_tail, describe_instance
from efsprov.builders.ec2.cli_failures import hint_after_waiting, lasting_failure
from efsprov.builders.ec2.launch import Launch
from efsprov.builders.ec2.user_data import LEASE, REKEY, STATUS
from efsprov.builders.failures import ConnectionFailure
from efsprov.builders.ssh.connection import SshConnection
from efsprov.builders.ssh.host import Host
from efsprov.core.errors import BuilderError, EfsprovError
from efsprov.net.retry import wait_for

_STATE_SECONDS: Final = 10.0
_ENDED: Final = GONE | {"stopping", "stopped"}


def await_running(launch: Launch) -> Instance:
    """Return the instance once it runs; raises ``BuilderError`` with EC2's reason when it ends instead."""

    def probe() -> Instance | None:
        seen = describe_instance(launch.aws, launch.record.instance)
        _refuse_ended(launch, seen)
        return seen if seen.state == "running" else None

    seen = wait_for(probe, seconds=launch.timeouts.boot, longest=launch.timeouts.inspect)
    if seen is None:
        raise BuilderError(
            f"{launch.record.instance} does not run after {launch.timeouts.boot:.0f} s.", hint="Try again."
        )
    return seen


def await_sshd(launch: Launch) -> None:
    """Return when the instance accepts the login; raises ``BuilderError`` when it ends, when its key is wrong, and in the end.

    Until cloud-init has put our key in place the server, if it runs at all, lets nobody in: that is not a failure yet.
    """
    last = ConnectionFailure("lost", "It was not tried.")
    looked = time.monotonic()

    def probe() -> bool | None:
        nonlocal last, looked
        try:
            SshConnection(launch.ssh).close()
        except ConnectionFailure as failure:
            if failure.kind == "key":
                raise _wrong_key(launch, failure) from failure
            if failure.kind == "proxy" and (hint := lasting_failure(failure.message)):
                raise BuilderError(failure.message, hint=hint) from failure
            last = failure
        else:
            return True
        if time.monotonic() - looked > _STATE_SECONDS:
            looked = time.monotonic()
            _refuse_ended(launch, describe_instance(launch.aws, launch.record.instance))
        return None

    if wait_for(probe, seconds=launch.timeouts.boot, longest=launch.timeouts.inspect) is None:
        raise BuilderError(
            f"{launch.record.instance} refused the login by SSH after {launch.timeouts.boot:.0f} s: {last.message}{_console(launch)}",
            hint=hint_after_waiting(last.message) or _ingress_hint(launch),
        ) from last


def replace_host_key(launch: Launch) -> str:
    """Have the instance make a host key, put it in place, and return its public half.

    Both of its commands may be given twice. A connection that is lost in between is made again by the key that is
    then in place: the old one or the new one, and no other.
    """
    with Host(launch.ssh) as host:
        made = host.execute(["sudo", "-n", REKEY, "make"])
        fresh = " ".join(made.stdout.split()[:2])
        if made.code != 0 or not fresh.startswith("ssh-ed25519 "):
            raise BuilderError(
                f"{launch.instance.id} could not make a host key: {made.stderr or made.stdout or 'no reason given'}."
            )

    def switch() -> str | None:
        try:
            SshConnection(replace(launch.ssh, host_key=fresh)).close()
        except ConnectionFailure as failure:
            if failure.kind == "refused":
                raise failure.for_user() from failure
        else:
            return fresh
        with contextlib.suppress(ConnectionFailure), SshConnection(launch.ssh) as connection:  # the old key, or neither
            connection.execute(["sudo", "-n", REKEY, "use"])
        return None

    if wait_for(switch, seconds=60, longest=launch.timeouts.inspect) is None:
        raise BuilderError(f"{launch.instance.id} did not take its new host key.", hint="Try again.")
    return fresh


def await_prepared(launch: Launch) -> None:
    """Return when the instance has installed what it needs and mounted the file system; raises ``BuilderError``."""
    result = ""

    def probe() -> bool | None:
        nonlocal result
        answer = host.execute(["sh", "-c", f"touch {shlex.quote(LEASE)}; cat {shlex.quote(STATUS)}"])
        status = answer.stdout.strip()
        if status != result:
            result = status
            launch.tell(status)
        if status.startswith("failed: "):
            raise BuilderError(
                f"The builder {launch.instance.id} could not be prepared: {status.removeprefix('failed: ')}",
                hint="--keep-on-failure keeps the instance to look around on; its log is /run/efsprov/prepare.log.",
            )
        return True if status == "ready" else None

    with Host(launch.ssh) as host:
        if wait_for(probe, seconds=launch.timeouts.prepare, longest=launch.timeouts.inspect) is None:
            raise BuilderError(
                f"The builder {launch.instance.id} was not ready after {launch.timeouts.prepare:.0f} s; it says: {result or 'nothing'}"
                f"{_console(launch)}",
                hint="Can the subnet reach the package repositories (a NAT gateway, or a gateway endpoint for S3)?",
            )


def _refuse_ended(launch: Launch, seen: Instance) -> None:
    if seen.state in _ENDED:
        raise BuilderError(
            f"The instance {seen.id} ended before it was ready: it is {seen.state}. EC2's reason: {seen.reason or 'none given'}."
            f"{_console(launch)}",
            hint="A reason that begins with Server.InsufficientInstanceCapacity or Server.SpotInstance means: try again, or "
            "another --instance-type. Client.* is something in the account, such as a volume's encryption key.",
        )


def _wrong_key(launch: Launch, failure: ConnectionFailure) -> BuilderError:
    return BuilderError(
        f"{failure.message} The instance {launch.record.instance} was given its host key when it was launched.",
        hint="Somebody may be in between. The instance is terminated; nothing of yours was on it.",
    )


def _ingress_hint(launch: Launch) -> str:
    ingress = launch.site.ingress
    if ingress.block:
        return f"Port {launch.settings.ssh_port} is open to {ingress.block}: is that your address, as the instance sees it? --connect names other ways in."
    return (
        "Does the way in work: `aws ssm start-session`, `aws ec2-instance-connect ssh`? --connect names other ways in."
    )


def _console(launch: Launch) -> str:
    try:
        text = console_tail(launch.aws, launch.record.instance)
    except EfsprovError:
        return ""  # it would only be a help
    return f"\nIts console last said:\n{text}" if text else ""
