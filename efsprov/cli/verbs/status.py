"""`efsprov status`: a root at one glance, and what to do next."""

import shlex
from typing import Any

import typer

from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import Json, RootDirectory
from efsprov.cli.select import command
from efsprov.core.errors import EfsprovError
from efsprov.core.history import State
from efsprov.core.wording import pluralize
from efsprov.functions.disk_space import read_disk_space
from efsprov.store.current import read_current
from efsprov.store.fs.mount import find_mount
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel, Root
from efsprov.store.publisher_lock import is_locked
from efsprov.store.verify import read_manifest


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("status")(status)


def status(root: RootDirectory, *, as_json: Json = False) -> None:
    """Show a root at one glance: what is current and since when, what is wrong, how much room is left, what to do next."""
    opened = Root.open(root)
    mount, room = find_mount(opened.path), read_disk_space(opened.path)
    channels = [_describe(channel, opened) for channel in (*opened.channels(), *opened.channels(kind="model"))]
    if as_json:
        place = {"kind": mount.kind, "mounted_at": mount.at, "network": mount.is_network, "free_bytes": room.free_bytes}
        print_json({"root": str(opened.path), "file_system": place, "channels": channels})
        return
    where = mount.kind or "unknown file system"
    out.print(f"[bold]{opened.path}[/]  {where}, {size(room.free_bytes)} free")
    if not mount.is_network:
        out.print("[yellow]note:[/] this is a disk of this machine: functions see a root only on EFS, mounted here.")
    if not channels:
        out.print(
            f"Nothing is published yet. Next: efsprov sync --root {shlex.quote(str(opened.path))} tensorflow==2.15"
        )
        return
    shown = table(
        "channel", "current", "since", "releases", "size", numbers=("releases", "size"), least=("size", "releases")
    )
    for each in channels:
        shown.add_row(
            f"model {each['channel']}" if each["kind"] == "model" else f"{each['channel']} ({each['target']})",
            each["current"] or "-",
            f"{each['since']:%Y-%m-%d %H:%M}" if each["since"] else "-",
            str(each["releases"]),
            size(each["bytes"]) if each["bytes"] is not None else "?",
        )
    print_table(shown)
    for each in channels:
        for problem in each["problems"]:
            out.print(f"[yellow]{each['channel']}:[/] {problem['message']}\n  {problem['next']}")
    if not any(each["problems"] for each in channels):
        out.print(
            f"[green]✓[/] {pluralize(len(channels), 'channel')} as the journals say. `efsprov verify` checks every file."
        )


def _describe(channel: Channel, root: Root) -> dict[str, Any]:
    state = read_state(channel)
    known = state.releases.get(state.current) if state.current else None
    described: dict[str, Any] = {
        "channel": channel.name,
        "kind": channel.kind,
        "target": channel.target,
        "current": state.current,
        "previous": state.previous,
        "since": known.activated[-1] if known and known.activated else None,
        "releases": len(state.live),
        "bytes": None,
        "publishing": is_locked(channel),
    }
    problems = _problems(channel, state, root)
    if state.current:
        try:
            described["bytes"] = read_manifest(channel, state.current).figures.bytes
        except EfsprovError as error:
            problems.append({"message": error.message, "next": _next(channel, "verify", root)})
    return described | {"problems": problems}


def _problems(channel: Channel, state: State, root: Root) -> list[dict[str, str]]:
    found = []
    current = state.releases.get(state.current) if state.current else None
    if current is None:
        newest = state.live[-1].id if state.live else "ID"
        found.append({"message": "nothing is current.", "next": _next(channel, "activate", root, newest)})
    elif current.bad is not None:
        why = f" ({current.bad})" if current.bad else ""
        way = _next(channel, "rollback", root) if state.previous else _next(channel, "mark-good", root, current.id)
        found.append({"message": f"the current release is marked bad{why}.", "next": way})
    try:
        linked = read_current(channel)
    except EfsprovError as error:
        return [*found, {"message": error.message, "next": _next(channel, "verify", root)}]
    if current is not None and linked != current.id and not is_locked(channel):
        message = (
            f"functions see {linked or 'no release'}, the journal says {current.id}: a publisher was killed in between."
        )
        found.append({"message": message, "next": _next(channel, "activate", root, current.id)})
    return found


def _next(channel: Channel, verb: str, root: Root, *words: str) -> str:
    """A command that can be pasted; models are named by an argument, channels by options."""
    where = ["--root", str(root.path)]
    if channel.kind == "deps":
        runtime, arch = channel.target.split("-")[:2]
        where += [
            "--channel",
            channel.name,
            "--runtime",
            runtime if "glibc" not in channel.target else "host",
            "--arch",
            arch,
        ]
    return f"{command(channel, verb)} {shlex.join([*words, *where])}"
