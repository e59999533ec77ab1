"""`efsprov list`: the channels of a root and their releases."""

from typing import Any

import typer

from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import ChannelName, Json, RootDirectory
from efsprov.cli.select import named_channels
from efsprov.core.errors import EfsprovError
from efsprov.core.history import Release, State
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel, Root
from efsprov.store.verify import read_manifest


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("list")(list_releases)


def list_releases(root: RootDirectory, channel: ChannelName = None, *, as_json: Json = False) -> None:
    """List the channels of a root and their releases, the newest first."""
    opened = Root.open(root)
    chosen = opened.channels() if channel is None else named_channels(opened, channel)
    if as_json:
        print_json({"root": str(opened.path), "channels": [describe_channel(c) for c in chosen]})
        return
    if not chosen:
        out.print(f"No channel in {opened.path} yet. `efsprov sync --framework tensorflow` makes one.")
    for number, each in enumerate(chosen):
        out.print(("\n" if number else "") + f"[bold]{each.label}[/]  {each.path}")
        _print_releases(each)


def describe_channel(channel: Channel) -> dict[str, Any]:
    """Return a channel and its releases as plain data."""
    state = read_state(channel)
    return {
        "channel": channel.name,
        "target": channel.target,
        "current": state.current,
        "previous": state.previous,
        "releases": [describe_release(channel, state, release) for release in reversed(state.live)],
    }


def describe_release(channel: Channel, state: State, release: Release) -> dict[str, Any]:
    """Return one release as plain data: what the journal tells of it and what its manifest holds."""
    described: dict[str, Any] = {
        "id": release.id,
        "current": release.id == state.current,
        "previous": release.id == state.previous,
        "pinned": release.pinned,
        "bad": release.bad is not None,
        "bad_note": release.bad or "",
        "published": release.published,
        "activated": list(release.activated),
        "deactivated": release.deactivated,
    }
    try:
        manifest = read_manifest(channel, release.id)
    except EfsprovError as error:
        return described | {"damaged": error.message}
    return described | {
        "requirements": manifest.requirements,
        "files": manifest.figures.files,
        "bytes": manifest.figures.bytes,
        "distributions": len(manifest.distributions),
    }


def of_journal(release: dict[str, Any]) -> dict[str, Any]:
    """Return of what ``describe_release`` described the part that ``show --json`` prints beside the manifest."""
    return {
        key: release[key] for key in ("current", "previous", "pinned", "bad", "bad_note", "activated", "deactivated")
    }


def _print_releases(channel: Channel) -> None:
    shown = table(
        "",
        "release",
        "holds",
        "packages",
        "size",
        "published",
        "remarks",
        numbers=("packages", "size"),
        least=("packages", "published", "holds", "size"),
    )
    for release in describe_channel(channel)["releases"]:
        damaged = "damaged" in release
        shown.add_row(
            "[green]->[/]" if release["current"] else "",
            release["id"],
            ", ".join(release.get("requirements", ()))[:40],
            "" if damaged else str(release["distributions"]),
            "" if damaged else size(release["bytes"]),
            f"{release['published']:%Y-%m-%d %H:%M}",
            ", ".join(remarks_of(release)),
        )
    print_table(shown)


def remarks_of(release: dict[str, Any]) -> list[str]:
    """Return what is to be remarked on a release that ``describe_release`` described."""
    remarks = [word for word in ("current", "previous", "pinned") if release[word]]
    if release["bad"]:
        remarks.append("[red]bad[/]" + (f": {release['bad_note']}" if release["bad_note"] else ""))
    if "damaged" in release:
        remarks.append("[red]damaged[/]")
    if not release["activated"]:
        remarks.append("never active")
    return remarks
