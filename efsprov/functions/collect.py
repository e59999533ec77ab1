"""Collects what a doctor looks at; what it may not read becomes ``Unread`` and stops nothing else."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from efsprov.aws.burst_credits import read_burst_credits
from efsprov.aws.errors import DENIED, code_of
from efsprov.aws.file_system_details import (
    AccessPointDetails,
    FileSystemDetails,
    access_point_details,
    file_system_details,
    read_file_system_policy,
    read_lifecycle,
)
from efsprov.aws.filesystems import MountTarget, list_mount_targets
from efsprov.aws.functions import (
    FunctionConfig,
    client,
    get_function,
    read_function_tags,
    read_reserved_concurrency,
)
from efsprov.aws.identity import who_am_i
from efsprov.aws.network import describe_dns, describe_subnets, list_egress, list_ingress
from efsprov.aws.reachability import default_way, may
from efsprov.aws.session import Aws
from efsprov.core.errors import EfsprovError
from efsprov.functions.channels import ChannelFacts
from efsprov.functions.disk_space import DiskSpace
from efsprov.functions.facts import Account, Facts, Unread

T = TypeVar("T")
_ACTIONS = ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite")


@dataclass(frozen=True)
class Question:
    """What the doctor is asked about. ``inspect_root`` returns the channels and the root's room; it may raise."""

    function: str | None = None
    access_point: str | None = None
    channels: tuple[str, ...] = ()
    builder_tag: str = "efsprov:builder"
    inspect_root: Callable[[], tuple[tuple[ChannelFacts, ...], DiskSpace | None]] | None = None


def collect(aws: Aws, question: Question) -> Facts:
    """Ask AWS for everything, in parallel where one answer does not hang on another; raises nothing of AWS's."""
    with ThreadPoolExecutor(12, thread_name_prefix="doctor") as pool:

        def ask(read: Callable[[], T]) -> Callable[[], T | Unread]:
            return pool.submit(_try, read).result

        identity, account = ask(lambda: who_am_i(aws)), ask(lambda: _account(aws))
        seen = ask(question.inspect_root) if question.inspect_root else None
        name = question.function
        function = None if name is None else _try(lambda: get_function(aws, name))
        known = function if isinstance(function, FunctionConfig) else None
        point_id = question.access_point or (known.mounted[0].access_point_id if known and known.mounted else None)
        point = _try(lambda: access_point_details(aws, point_id.rpartition("/")[2])) if point_id else None
        rest = _around_the_function(aws, known, point, question.builder_tag, ask) | _around_the_storage(aws, point, ask)
        facts: dict[str, Any] = {name: answer() for name, answer in rest.items()}
        targets = facts["mount_targets"]
        groups = {g for target in targets for g in target.groups} if isinstance(targets, tuple) else set()
        facts["ingress"] = _try(lambda: list_ingress(aws, groups)) if groups else ()
        answer = seen() if seen else None
        channels, disk_space = (answer, None) if isinstance(answer, Unread) else answer or (None, None)
        return Facts(
            identity=identity(),
            account=account(),
            function=function,
            access_point=point,
            channels=channels,
            disk_space=disk_space,
            wanted_channels=question.channels or _channels_of(known),
            **facts,
        )


def _around_the_function(
    aws: Aws,
    function: FunctionConfig | None,
    point: Any,
    tag: str,
    ask: Callable[[Callable[[], Any]], Callable[[], Any]],
) -> dict[str, Callable[[], Any]]:
    if function is None:
        return {}
    found: dict[str, Callable[[], Any]] = {
        "builder": ask(lambda: tag in read_function_tags(aws, function.arn)),
        "reserved": ask(lambda: read_reserved_concurrency(aws, function.name)),
    }
    if isinstance(point, AccessPointDetails):
        arn = f"{point.arn.rpartition(':')[0]}:file-system/{point.file_system}"
        found["permissions"] = ask(lambda: may(aws, function.role, _ACTIONS, arn, point.arn))
    if function.subnets:
        found["subnets"] = ask(lambda: describe_subnets(aws, function.subnets))
        found["ways"] = ask(lambda: tuple(default_way(aws, subnet, function.vpc) for subnet in function.subnets))
    if function.vpc:
        found["dns"] = ask(lambda: describe_dns(aws, function.vpc))
    if function.groups:
        found["egress"] = ask(lambda: list_egress(aws, function.groups))
    builder = found["builder"]
    unread = {"builder_unread": lambda: answer if isinstance(answer := builder(), Unread) else None}
    return {**found, **unread, "builder": lambda: builder() is True}


def _around_the_storage(
    aws: Aws, point: Any, ask: Callable[[Callable[[], Any]], Callable[[], Any]]
) -> dict[str, Callable[[], Any]]:
    if not isinstance(point, AccessPointDetails):
        unknown: tuple[MountTarget, ...] | Unread = point if isinstance(point, Unread) else ()
        return {"mount_targets": lambda: unknown}
    file_system = point.file_system
    details: Callable[[], FileSystemDetails | Unread] = ask(lambda: file_system_details(aws, file_system))
    return {
        "file_system": details,
        "lifecycle": ask(lambda: read_lifecycle(aws, file_system)),
        "policy": ask(lambda: read_file_system_policy(aws, file_system)),
        "mount_targets": ask(lambda: list_mount_targets(aws, file_system)),
        "burst_credits": ask(lambda: _credits(aws, details())),
    }


def _credits(aws: Aws, details: FileSystemDetails | Unread) -> float | None:
    if isinstance(details, Unread) or details.throughput != "bursting":
        return None
    return read_burst_credits(aws, details.id, now=dt.datetime.now(dt.UTC))


def _account(aws: Aws) -> Account:
    awslambda = client(aws)
    output = aws.call(awslambda.get_account_settings)
    limit, usage = output.get("AccountLimit", {}), output.get("AccountUsage", {})
    return Account(
        code_bytes=usage.get("TotalCodeSize", 0),
        code_limit=limit.get("TotalCodeSize", 0),
        concurrency=limit.get("UnreservedConcurrentExecutions", 0),
    )


def _channels_of(function: FunctionConfig | None) -> tuple[str, ...]:
    named = function.variables.get("EFSPROV_CHANNEL", "") if function else ""
    return tuple(name.strip() for name in named.split(",") if name.strip())


def _try(read: Callable[[], T]) -> T | Unread:
    try:
        return read()
    except EfsprovError as error:
        if code_of(error) in DENIED:
            return Unread(f"It may not be read with these credentials. {error.message}")
        return Unread(error.message)
