"""`efsprov sync`: from requirements to the current release."""

from typing import Annotated, Final

import typer

from efsprov.cli.builder_options import MachineFlags
from efsprov.cli.choose_builder import Order, choose_builder
from efsprov.cli.console import duration, out, print_json, size
from efsprov.cli.option_groups import spread_groups
from efsprov.cli.options import Again, BuilderFunction, Json
from efsprov.cli.progress import shown_progress
from efsprov.cli.sync_options import SyncArguments, read_sync_options
from efsprov.core.build import BuildResult
from efsprov.core.difference import Change
from efsprov.core.errors import GateError
from efsprov.core.plan import NeededConsent, Plan
from efsprov.core.wording import pluralize
from efsprov.pipeline.resolve.plan import make_plan, read_inputs

_MOST_CHANGES: Final = 5
_NoActivate = Annotated[bool, typer.Option("--no-activate", help="Publish the release, but leave `current` as it is.")]
_NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail when another publisher is at work, instead of waiting.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sync")(sync)


@spread_groups
def sync(
    context: typer.Context,
    arguments: SyncArguments,
    flags: MachineFlags,
    *,
    builder_function: BuilderFunction = None,
    again: Again = False,
    no_activate: _NoActivate = False,
    no_wait: _NoWait = False,
    as_json: Json = False,
) -> None:
    """Install a framework into a new release, prove that it imports, and make it current in one atomic step."""
    wanted = read_sync_options(context, arguments, activate=not no_activate, wait=not no_wait, again=again)
    inputs = read_inputs(wanted)
    order = Order(inputs.settings, context, flags, builder_function)
    chosen = choose_builder(arguments.builder, order)  # before the resolving, which takes longest
    with shown_progress() as emit:
        plan, request = make_plan(wanted, inputs, emit=emit)
        refuse_without_consent(plan)
        result = chosen.run(request, emit)
    if as_json:
        print_json({"plan": plan.model_dump(mode="json"), "result": result.model_dump(mode="json")})
    else:
        _report(plan, result)


def refuse_without_consent(plan: Plan) -> None:
    """Raise ``GateError`` when the plan needs a consent that was not given."""
    if plan.consents:
        first = plan.consents[0]
        raise GateError(first.message, hint=ways_out(first))


def ways_out(consent: NeededConsent) -> str:
    """Say what to do about something that needs a consent."""
    ways = {
        "cuda": "Or name an index that has the CPU build ([installer] index, UV_INDEX, PIP_INDEX_URL), or put its wheel where "
        "find_links looks: see docs/how-to/pytorch-without-cuda.md.",
        "sdist": "Or pin a version that has wheels.",
    }
    return f"{consent.flag} takes it all the same. {ways.get(consent.kind, '')}".rstrip()


def _print_changes(changes: tuple[Change, ...]) -> None:
    """Say in a few lines what changed against the release that was current."""
    signs = {"added": "[green]+[/]", "removed": "[red]-[/]"}
    for change in changes[:_MOST_CHANGES]:
        versions = " -> ".join(version for version in (change.before, change.after) if version)
        out.print(f"  {signs.get(change.what, '[yellow]~[/]')} {change.name} {versions}")
    if len(changes) > _MOST_CHANGES:
        out.print(f"  ... and {len(changes) - _MOST_CHANGES} more: efsprov diff previous current")


def _report(plan: Plan, result: BuildResult) -> None:
    label = f"{plan.channel} ({plan.target})"
    if result.outcome == "unchanged":
        out.print(f"[green]✓[/] {label}: nothing to do. The current release {result.release} has the same lock.")
    elif result.outcome == "reactivated":
        now = f"current again (was {result.before})" if result.before else "current"
        out.print(f"[green]✓[/] {label}: release {result.release} has the same lock; it is {now}.")
    else:
        figures = result.figures
        linked = f", {size(figures.linked_bytes)} of it linked" if figures.linked_bytes else ""
        took = duration(sum(figures.seconds.values()))
        out.print(
            f"[green]✓[/] {label}: release [bold]{result.release}[/], {size(figures.bytes)} in {pluralize(figures.files, 'file')}{linked}, {took}."
        )
        _print_changes(plan.changes)
        if result.activated:
            out.print(
                "  It is current" + (f" (was {result.before}; back with `efsprov rollback`)." if result.before else ".")
            )
        else:
            out.print(f"  It is not current: efsprov activate {result.release}")
    if result.activated:
        out.print(
            "[dim]  In the function: EFSPROV_ROOT (where it mounts the file system), "
            f"EFSPROV_CHANNEL={plan.channel}, and `import efsprov.bootstrap` first.[/]"
        )
