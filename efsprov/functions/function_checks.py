"""Rules about the function itself: does it fit the channel, has it the shim and its variables, time and memory."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from efsprov.aws.functions import FunctionConfig
from efsprov.core.errors import EfsprovError
from efsprov.functions.channels import fitting_channel
from efsprov.functions.facts import Facts, Unread
from efsprov.functions.finding import Finding, ok, problem, unknown, warning

_ROOT: Final = "EFSPROV_ROOT"
_CHANNEL: Final = "EFSPROV_CHANNEL"
_LARGE: Final = 200_000_000  # bytes: TensorFlow and PyTorch are well above
_ONE_CPU: Final = 1769  # MB: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_FIRST_IMPORT: Final = 30  # seconds
_MOST_UNZIPPED: Final = 262_144_000


def check_credentials(facts: Facts) -> Iterator[Finding]:
    """AWS knows who asks."""
    if isinstance(facts.identity, Unread):
        yield problem(
            "credentials", facts.identity.why, "`aws sso login`, or AWS_PROFILE; AWS_REGION names the region."
        )
    else:
        yield ok("credentials", f"{facts.identity.arn}.")


def check_function(facts: Facts) -> Iterator[Finding]:
    """The function is active and its last change has taken effect."""
    function = facts.function
    if isinstance(function, Unread):
        yield unknown("function", function)
    elif function is not None and "Failed" in (function.state, function.update):
        yield problem(
            "function", f"{function.name}: its last change failed: {function.reason}.", "Change it once more."
        )
    elif function is not None and not function.settled:
        yield warning("function", f"{function.name} is being changed.", "Ask again in a minute.")
    elif function is not None:
        if facts.builder_unread is not None:
            yield unknown("function's tags", facts.builder_unread)
        what = f"{function.runtime or 'a container image'} on {function.arch}"
        yield ok("function", f"{function.name} is active, {what}.")
        if function.snap_start:
            yield problem("SnapStart", "It is on, and works with no file system.", "Switch it off.")


def check_concurrency(facts: Facts) -> Iterator[Finding]:
    """What is reserved for the function lets it run at all, and a builder be asked how far it is."""
    function, reserved = facts.function, facts.reserved
    if not isinstance(function, FunctionConfig) or reserved is None:
        return
    more = f"aws lambda put-function-concurrency --function-name {function.name} --reserved-concurrent-executions 10"
    if isinstance(reserved, Unread):
        yield unknown("reserved concurrency", reserved)
    elif reserved == 0:
        yield problem("reserved concurrency", f"None is left to {function.name}: every call of it is refused.", more)
    elif facts.builder and reserved == 1:
        yield warning("reserved concurrency", "1: a build shows no progress while it runs.", more)
    else:
        yield ok("reserved concurrency", f"{reserved}.")


def check_mount_path(facts: Facts) -> Iterator[Finding]:
    """The function mounts the file system where its variables say."""
    function = facts.function
    if not isinstance(function, FunctionConfig):
        return
    if not function.mounted:
        yield problem(
            "mount path", f"{function.name} has no file system.", f"efsprov attach --function {function.name}"
        )
        return
    if not function.mounted[0].is_efs:
        yield problem(
            "mount path",
            f"{function.mounted[0].path} of {function.name} is not EFS but {function.mounted[0].access_point}: S3 Files has no hard "
            "links, and renames by copying, so a root on it is neither small nor swapped at once.",
            f"efsprov attach --function {function.name} --replace --access-point fsap-...",
        )
        return
    path = function.mounted[0].path
    root = function.variables.get(_ROOT)
    if facts.builder or root is None:
        yield ok("mount path", f"{path}.")
    elif PurePosixPath(root).is_relative_to(path):
        yield ok("mount path", f"{path}, and {_ROOT} is {root}.")
    else:
        yield problem(
            "mount path",
            f"The file system is at {path}, but {_ROOT} is {root}.",
            f"efsprov attach --function {function.name} --mount-path {path}",
        )


def check_target(facts: Facts) -> Iterator[Finding]:
    """Each channel of the function has a current release for its runtime and architecture."""
    function, channels = facts.function, facts.channels
    if not isinstance(function, FunctionConfig) or facts.builder or not facts.wanted_channels:
        return
    if isinstance(channels, Unread):
        yield unknown("target", channels)
        return
    for name in facts.wanted_channels if channels is not None else ():
        try:
            found = fitting_channel(
                channels or (), name, function=function.name, runtime=function.runtime, arch=function.arch
            )
        except EfsprovError as error:
            yield problem("target", error.message, error.hint)
        else:
            yield ok("target", f"Channel {name} has {found.current} for {found.target}.")


def check_shim(facts: Facts) -> Iterator[Finding]:
    """The function has the shim's layer and the variables that it reads."""
    function = facts.function
    if not isinstance(function, FunctionConfig) or facts.builder:
        return
    if function.package == "Image":
        yield ok("shim", "A container image: it has to hold the distribution efsprov-bootstrap itself.")
    elif any(f":layer:{facts.layer}:" in arn for arn in function.layers):
        yield ok("shim", f"The layer {facts.layer} is there.")
    else:
        yield warning(
            "shim",
            f"There is no layer {facts.layer}: `import efsprov.bootstrap` works only if the package brings it.",
            f"efsprov attach --function {function.name}",
        )
    missing = [name for name in (_ROOT, _CHANNEL) if name not in function.variables]
    if missing:
        yield problem("variables", f"{', '.join(missing)} not set.", f"efsprov attach --function {function.name}")
    else:
        yield ok("variables", f"{_ROOT}={function.variables[_ROOT]}, {_CHANNEL}={function.variables[_CHANNEL]}.")
    size = function.code_size + sum(function.layer_sizes)
    if size > 0.9 * _MOST_UNZIPPED:
        yield warning(
            "package size",
            f"{size / 1e6:.0f} MB of zips with all layers; unzipped at most {_MOST_UNZIPPED / 1e6:.0f} MB are allowed.",
            "Move dependencies into a channel.",
        )


def check_limits(facts: Facts) -> Iterator[Finding]:
    """Timeout, memory and room in /tmp suffice."""
    function = facts.function
    if not isinstance(function, FunctionConfig):
        return
    channels = facts.channels if isinstance(facts.channels, tuple) else ()
    mine = [c.bytes for c in channels if facts.builder or c.name in facts.wanted_channels]
    if facts.builder:
        yield from _builder_limits(function, max(mine, default=0))
        return
    if function.timeout < _FIRST_IMPORT:
        # The init phase is cut off after 10 s and starts again within the first invocation, under the timeout.
        yield warning(
            "timeout",
            f"{function.timeout} s: the first import of a framework may not fit.",
            f"aws lambda update-function-configuration --function-name {function.name} --timeout 60",
        )
    else:
        yield ok("timeout", f"{function.timeout} s.")
    if function.memory < _ONE_CPU and max(mine, default=_LARGE) >= _LARGE:
        yield warning(
            "memory",
            f"{function.memory} MB: less than one processor, and a framework's import needs one.",
            f"aws lambda update-function-configuration --function-name {function.name} --memory-size 3008",
        )
    else:
        yield ok("memory", f"{function.memory} MB.")


def _builder_limits(function: FunctionConfig, largest: int) -> Iterator[Finding]:
    short = []
    if function.timeout < 900:
        short.append(f"timeout {function.timeout} s instead of 900")
    if function.memory < 3008:
        short.append(f"memory {function.memory} MB instead of 10,240")
    if function.tmp << 20 < max(4 << 30, 3 * largest):  # wheels, the installed tree, and bytecode
        short.append(f"room of {function.tmp} MB for wheels instead of 10,240")
    if short:
        yield warning("limits", f"The builder function has {', '.join(short)}.", "Run `efsprov builder deploy` again.")
    else:
        yield ok("limits", f"{function.timeout} s, {function.memory} MB of memory, {function.tmp} MB for wheels.")
