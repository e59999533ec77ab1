"""`efsprov diff`: what differs between two releases."""

from typing import Annotated

import typer

from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import Arch, ChannelName, Json, ReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.core.difference import Change, compare
from efsprov.core.wording import pluralize
from efsprov.store.journal import read_state
from efsprov.store.verify import read_manifest


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("diff")(diff)


def diff(
    root: RootDirectory,
    before: ReleaseId,
    after: Annotated[str, typer.Argument(metavar="[ID]", help="The other release.")] = "current",
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    *,
    as_json: Json = False,
) -> None:
    """Show which packages were added, removed or changed between two releases, and what that weighs."""
    chosen = select_channel(root, channel, runtime, arch)
    state = read_state(chosen)
    ids = [select_release(chosen, state, text) for text in (before, after)]
    difference = compare(*(read_manifest(chosen, release) for release in ids))
    if as_json:
        print_json(difference)
        return
    out.print(f"[bold]{difference.before}[/] -> [bold]{difference.after}[/]")
    print_changes(difference.changes)
    grown = difference.size_after - difference.size_before
    out.print(
        f"Unchanged: {pluralize(difference.same, 'package')}. {size(difference.size_before)} -> {size(difference.size_after)} "
        f"({'+' if grown >= 0 else '-'}{size(abs(grown))})"
    )


def print_changes(changes: tuple[Change, ...]) -> None:
    """Print changed distributions as a table."""
    shown = table("", "package", "before", "after", "size", numbers=("size",))
    colors = {"added": "green", "removed": "red", "changed": "yellow", "rebuilt": "yellow"}
    for change in changes:
        grown = None if change.size_after is None else change.size_after - change.size_before
        shown.add_row(
            f"[{colors[change.what]}]{change.what}[/]",
            change.name,
            change.before or "",
            change.after or "",
            "?" if grown is None else f"{'+' if grown >= 0 else '-'}{size(abs(grown))}",
        )
    print_table(shown)
