"""`efsprov activate`: make a release current."""

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, ChannelName, Json, ReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publish import activate as make_current


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("activate")(activate)


def activate(
    root: RootDirectory,
    release: ReleaseId,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a release current, in one atomic step. Processes that have pinned another keep it."""
    activate_in(select_channel(root, channel, runtime, arch, writing=True), release, as_json=as_json)


def activate_in(chosen: Channel, release: str, *, as_json: bool) -> None:
    """Make a release of a channel or a model current."""
    wanted = select_release(chosen, read_state(chosen), release)
    before = make_current(chosen, wanted)
    if as_json:
        print_json({"channel": chosen.name, "target": chosen.target, "current": wanted, "before": before})
    elif before == wanted:
        out.print(f"{wanted} is current in {chosen.label} already.")
    else:
        out.print(f"[green]✓[/] {chosen.label}: {wanted} is current" + (f" (was {before})." if before else "."))
