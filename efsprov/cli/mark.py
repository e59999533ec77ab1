"""`efsprov mark-bad`, `mark-good`, `pin`, `unpin`: remarks on a release that rollback and prune heed."""

from typing import Annotated

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, ChannelName, Json, ReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.core.history import Action
from efsprov.store.journal import read_state
from efsprov.store.publish import mark

_Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; shown by `list` and `history`.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    _add(app, "mark-bad", "Mark a release as bad: rollback skips it, and it cannot become current.", "marked bad")
    _add(app, "mark-good", "Take back that a release is bad.", "no longer marked bad")
    _add(app, "pin", "Keep a release: prune never takes it.", "pinned")
    _add(app, "unpin", "Let prune decide about a release again.", "no longer pinned")


def _add(app: typer.Typer, do: Action, text: str, done: str) -> None:
    def verb(
        root: RootDirectory,
        release: ReleaseId,
            channel: ChannelName = None,
        runtime: Runtime = None,
        arch: Arch = None,
        note: _Note = "",
        *,
        as_json: Json = False,
    ) -> None:
        chosen = select_channel(root, channel, runtime, arch, writing=True)
        named = select_release(chosen, read_state(chosen), release)
        mark(chosen, do, named, note=note)
        if as_json:
            print_json({"channel": chosen.name, "target": chosen.target, "release": named, "done": do})
        else:
            out.print(f"[green]✓[/] {chosen.label}: {named} is {done}.")

    app.command(do, help=text)(verb)
