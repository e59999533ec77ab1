"""`efsprov mark-bad`, `mark-good`, `pin`, `unpin`: remarks on a release that rollback and prune heed."""

from typing import Annotated, Final, NamedTuple

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, ChannelName, Json, ReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.core.history import Action
from efsprov.core.objections import DAMAGED
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publish import mark

Damaged = Annotated[
    bool, typer.Option("--damaged", help="It is about this release's files alone: a sync may make the same again.")
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; shown by `list` and `history`.")]


class Mark(NamedTuple):
    """What a verb's help says, and what a release is afterwards."""

    help: str
    done: str


MARKS: Final[dict[Action, Mark]] = {
    "mark-bad": Mark(
        "Mark a release as bad: rollback skips it, it cannot become current, and no sync makes the same again.",
        "marked bad",
    ),
    "mark-good": Mark("Clear the bad mark.", "no longer marked bad"),
    "pin": Mark("Keep a release: prune never takes it.", "pinned"),
    "unpin": Mark("Let prune decide about a release again.", "no longer pinned"),
}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("mark-bad", help=MARKS["mark-bad"].help)(_mark_bad)
    for do in MARKS:
        if do != "mark-bad":  # which says more
            _add(app, do)


def mark_in(chosen: Channel, do: Action, release: str, *, note: str, as_json: bool) -> None:
    """Remark something on a release of a channel or a model."""
    named = select_release(chosen, read_state(chosen), release, pruned=do == "mark-good")
    mark(chosen, do, named, note=note)
    if as_json:
        print_json({"channel": chosen.name, "target": chosen.target, "release": named, "done": do})
    else:
        out.print(f"[green]✓[/] {chosen.label}: {named} is {MARKS[do].done}.")


def with_damage(note: str, *, damaged: bool) -> str:
    """Return a note that says of a mark whether it is about a release's files alone."""
    return f"{DAMAGED}{note and f': {note}'}" if damaged else note


def _mark_bad(
    root: RootDirectory,
    release: ReleaseId,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    note: Note = "",
    *,
    damaged: Damaged = False,
    as_json: Json = False,
) -> None:
    chosen = select_channel(root, channel, runtime, arch, writing=True)
    mark_in(chosen, "mark-bad", release, note=with_damage(note, damaged=damaged), as_json=as_json)


def _add(app: typer.Typer, do: Action) -> None:
    def verb(
        root: RootDirectory,
        release: ReleaseId,
        channel: ChannelName = None,
        runtime: Runtime = None,
        arch: Arch = None,
        note: Note = "",
        *,
        as_json: Json = False,
    ) -> None:
        mark_in(select_channel(root, channel, runtime, arch, writing=True), do, release, note=note, as_json=as_json)

    app.command(do, help=MARKS[do].help)(verb)
