"""What a root's channels hold for functions: their targets and current releases, wherever that was looked up."""

from collections.abc import Iterable
from pathlib import Path

from efsprov.core.errors import GateError, NotFoundError
from efsprov.core.frozen import Frozen
from efsprov.core.target import Target
from efsprov.store.journal import read_state
from efsprov.store.layout import Root
from efsprov.store.verify import read_manifest


class ChannelFacts(Frozen):
    """One channel for one target. ``current`` is the current release's id, ``bytes`` its size.

    ``previous`` is the release that a rollback goes to.
    """

    name: str
    target: str
    current: str | None = None
    previous: str | None = None
    bytes: int = 0


def read_channels(root: Path) -> tuple[ChannelFacts, ...]:
    """Look at a root that is mounted here."""
    found = []
    for channel in Root.open(root).channels():
        state = read_state(channel)
        size = read_manifest(channel, state.current).figures.bytes if state.current else 0
        found.append(
            ChannelFacts(
                name=channel.name, target=channel.target, current=state.current, previous=state.previous, bytes=size
            )
        )
    return tuple(found)


def stated_channels(names: Iterable[str], target: str) -> tuple[ChannelFacts, ...]:
    """Take the user's word for what the channels are built for; raises ``UsageError`` where it is not a target."""
    return tuple(ChannelFacts(name=name, target=Target.parse(target).name, current="as stated") for name in names)


def fitting_channel(
    facts: Iterable[ChannelFacts], name: str, *, function: str, runtime: str, arch: str
) -> ChannelFacts:
    """Return the channel's part that a function of ``runtime`` ("" for a container image) and ``arch`` would use.

    Raises ``NotFoundError`` when there is no such channel, ``GateError`` when it has nothing for such a function.
    """
    known = tuple(facts)
    mine = [channel for channel in known if channel.name == name]
    if not mine:
        there = ", ".join(sorted({channel.name for channel in known})) or "none"
        raise NotFoundError(f"There is no channel {name} on the file system.", hint=f"Channels there: {there}.")
    fitting = [channel for channel in mine if _fits(Target.parse(channel.target), runtime, arch)]
    if not fitting:
        targets = ", ".join(channel.target for channel in mine)
        here = f"{runtime} on {arch}" if runtime else f"a container image for {arch}"
        raise GateError(
            f"Function {function} is {here}; channel {name} has releases for {targets} only.",
            hint=f"Give the function that runtime and architecture, or build for it: "
            f"efsprov sync --channel {name} --runtime {runtime or 'RUNTIME'} --arch {arch}",
        )
    ready = [channel for channel in fitting if channel.current]
    if not ready:
        raise NotFoundError(
            f"Channel {name} ({fitting[0].target}) has no current release.",
            hint="`efsprov list` shows its releases; `efsprov activate ID` makes one current.",
        )
    return ready[0]


def _fits(target: Target, runtime: str, arch: str) -> bool:
    if target.arch != arch:
        return False
    return target.runtime == runtime if runtime else True  # what Python an image holds, only the image knows
