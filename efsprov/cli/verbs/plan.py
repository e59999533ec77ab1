"""`efsprov plan`: what a sync would do, without doing it."""

from typing import Annotated

import typer
from rich.markup import escape

from efsprov.cli.builder_options import MachineFlags
from efsprov.cli.choose_builder import ec2_builder
from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.option_groups import spread_groups
from efsprov.cli.options import Json
from efsprov.cli.progress import shown_progress
from efsprov.cli.sync_options import SyncArguments, read_sync_options
from efsprov.cli.verbs.diff import print_changes
from efsprov.cli.verbs.sync import ways_out
from efsprov.core.errors import WOULD_CHANGE
from efsprov.core.plan import Plan
from efsprov.core.wording import pluralize
from efsprov.pipeline.resolve.plan import make_plan, read_inputs

_ExitCode = Annotated[
    bool,
    typer.Option("--exit-code", help="End with 2 where a sync would build or activate something, with 0 where not."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("plan")(plan)


@spread_groups
def plan(
    context: typer.Context,
    arguments: SyncArguments,
    flags: MachineFlags,
    *,
    exit_code: _ExitCode = False,
    as_json: Json = False,
) -> None:
    """Show what `sync` with the same options would do: which wheels, for which runtime, what changes. Changes nothing."""
    wanted = read_sync_options(context, arguments)
    inputs = read_inputs(wanted)
    with shown_progress() as emit:
        made, request = make_plan(wanted, inputs, emit=emit, ask_sizes=True)
        if arguments.builder == "ec2":
            made = made.model_copy(
                update={"notes": (*made.notes, *ec2_builder(context, flags, inputs.settings).inspect(request))}
            )
    if as_json:
        print_json(made)
    else:
        _print_plan(made)
    if exit_code and made.action != "nothing":
        raise typer.Exit(WOULD_CHANGE)


def _print_plan(made: Plan) -> None:
    out.print(f"[bold]{made.channel}[/] ({made.target}) in {made.root}, builder: {made.builder}")
    shown = table("", "package", "version", "download", "wheel", numbers=("download",), least=("wheel",))
    for wheel in made.wheels:
        shown.add_row(
            "*" if wheel.requested else "",
            wheel.name,
            wheel.version,
            "?" if wheel.size is None else size(wheel.size),
            wheel.wheel,
        )
    print_table(shown)
    download = "" if made.download_bytes is None else f", {size(made.download_bytes)} to download at most"
    out.print(f"{pluralize(len(made.wheels), 'wheel')}{download}. All fit {made.target}.")
    if made.current and made.changes:
        out.print(f"\nAgainst the current release {made.current}:")
        print_changes(made.changes)
    if any(made.savings.values()):
        result = ", ".join(f"{rule} {size(saved)}" for rule, saved in made.savings.items() if saved)
        unknown = f" (not counted: {', '.join(made.savings_unknown)})" if made.savings_unknown else ""
        query = f" Left out: {', '.join(made.slim)}." if made.slim else ""
        out.print(f"--slim would save: {result}{unknown}.{query}")
    if made.smoke:
        out.print(f"Smoke test: {made.smoke}")
    if made.objection:
        out.print(f"\n[yellow]sync will stop here:[/] {escape(made.objection)}\n\nNothing was changed.")
        return
    for consent in made.consents:
        out.print(f"\n[yellow]sync will stop here:[/] {escape(consent.message)}\n  {escape(ways_out(consent))}")
    if made.consents:
        out.print("\nNothing was changed.")
        return
    ends = {
        "build": "A sync would build this release and make it current.",
        "nothing": f"A sync would do nothing: the current release {made.current} has the same lock.",
        "activate": f"A sync would make release {made.existing} current again: it has the same lock.",
    }
    out.print(f"\n{ends[made.action]} Nothing was changed.")
