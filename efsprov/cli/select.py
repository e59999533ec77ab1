"""From what people type to the channel and the release that they mean."""

from collections.abc import Sequence
from pathlib import Path

from efsprov.core.errors import NotFoundError, UsageError
from efsprov.core.history import State
from efsprov.core.wording import did_you_mean
from efsprov.store.layout import Channel, Kind, Root


def select_channel(
    root: Path,
    name: str | None,
    runtime: str | None = None,
    arch: str | None = None,
    *,
    kind: Kind = "deps",
    writing: bool = False,
) -> Channel:
    """Return the one channel that name, runtime and architecture leave; raises where that is none or several."""
    opened = Root.open(root, writing=writing)
    if name is not None:
        opened.channel(name, kind=kind).refuse_links()  # a name that cannot be one is reported as such
    channels = opened.channels(kind=kind)
    found = [c for c in channels if name in {None, c.name} and _fits(c.target, runtime, arch)]
    if len(found) == 1:
        return found[0]
    if not channels:
        raise NotFoundError(
            f"There is no channel in {opened.path}.", hint="`efsprov sync --root DIR --framework tensorflow` makes one."
        )
    if not found:
        raise _no_channel(opened, " ".join(word for word in (name, runtime, arch) if word), channels)
    raise UsageError(
        f"{opened.path} holds several channels that fit: {', '.join(c.label for c in found)}.",
        hint="Say which one is meant with --channel NAME, and --runtime or --arch where it has several targets.",
    )


def select_everything(root: Path, named: Sequence[str | None], *, writing: bool = False) -> tuple[Channel, ...]:
    """Return all channels and models of a root; raises ``UsageError`` where one is ``named`` besides, ``NotFoundError``."""
    if given := [word for word in named if word]:
        raise UsageError(f"--all goes with every channel, and {given[0]} names one.", hint="Leave one of them out.")
    opened = Root.open(root, writing=writing)
    kinds: tuple[Kind, ...] = ("deps", "model")
    found = tuple(channel for kind in kinds for channel in opened.channels(kind=kind))
    if not found:
        raise NotFoundError(
            f"There is no channel in {opened.path}.", hint="`efsprov sync --root DIR --framework tensorflow` makes one."
        )
    return found


def describe_channel(channel: Channel) -> dict[str, str]:
    """Return which channel or model a document of `--all` is about."""
    return {"kind": channel.kind, "channel": channel.name, "target": channel.target}


def named_channels(opened: Root, name: str) -> list[Channel]:
    """Return the channels of that name, one for each target; raises ``NotFoundError`` where there is none."""
    opened.channel(name).refuse_links()  # a name that cannot be one is reported as such
    channels = opened.channels()
    found = [c for c in channels if c.name == name]
    if not found:
        raise _no_channel(opened, name, channels)
    return found


def select_release(channel: Channel, state: State, text: str, *, pruned: bool = False) -> str:
    """Return the id of the release that ``text`` names: an id, the start of one or of its hash, `current`, `previous`.

    ``pruned`` takes those in, too, whose files are gone.
    """
    if text in {"current", "previous"}:
        named = state.current if text == "current" else state.previous
        if named is None:
            raise NotFoundError(
                f"{channel.label} has no {text} release.", hint="`efsprov list` shows the releases that there are."
            )
        return named
    known = sorted(state.releases) if pruned else [release.id for release in state.live]
    if text in known:
        return text
    found = [
        release
        for release in known
        if text and (release.startswith(text) or release.endswith(text) or release.rpartition("-")[2].startswith(text))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{text!r} could be {' or '.join(found)}.", hint="Type more of the id.")
    gone = text in state.releases
    raise NotFoundError(
        f"There is no release {text!r} in {channel.label}" + (": it was pruned." if gone else "."),
        hint=f"{did_you_mean(text, known)}`efsprov list` shows the releases that there are.",
    )


def command(channel: Channel, verb: str) -> str:
    """Return how a verb is called for this channel or model: `efsprov verify`, `efsprov model verify NAME`."""
    return f"efsprov {verb}" if channel.kind == "deps" else f"efsprov model {verb} {channel.name}"


def _no_channel(opened: Root, wanted: str, channels: Sequence[Channel]) -> NotFoundError:
    there = ", ".join(c.label for c in channels)
    return NotFoundError(
        f"There is no channel {wanted} in {opened.path}.",
        hint=f"{did_you_mean(wanted.split(maxsplit=1)[0], (c.name for c in channels))}There is: {there}."
        if there
        else "`efsprov sync --framework tensorflow` makes one.",
    )


def _fits(target: str, runtime: str | None, arch: str | None) -> bool:
    if runtime in {None, "auto"}:
        by_runtime = True
    elif runtime == "host":
        by_runtime = "glibc" in target
    else:
        by_runtime = target.split("-")[:1] == [runtime]
    return by_runtime and (arch is None or arch in target.split("-")[1:2])
