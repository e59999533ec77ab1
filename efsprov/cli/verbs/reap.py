"""`efsprov reap`: find and remove what EC2 builders left behind."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from efsprov.aws.session import open_session
from efsprov.builders.ec2.leftovers import Planned
from efsprov.builders.ec2.reap import Reaping
from efsprov.builders.ec2.run_record import read_records
from efsprov.cli.aws_options import DryRun, Profile
from efsprov.cli.confirm import Yes, confirmed
from efsprov.cli.console import err, out, print_json, print_table, table
from efsprov.cli.options import Json
from efsprov.core.errors import AwsError, UsageError
from efsprov.core.wording import pluralize

_Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="REGION",
        help="Where to look; may be repeated (default: yours, and where runs of this machine were).",
    ),
]
_Now = Annotated[
    bool, typer.Option("--now", help="Remove leftovers at once, instead of marking them for the next look.")
]
_Run = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Remove what this run has made, expired or not.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("reap")(reap)


def reap(
    regions: _Regions = None,
    profile: Profile = None,
    run: _Run = None,
    *,
    now: _Now = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Find what EC2 builders left behind, show what is to be done about it, and do that when confirmed.

    Nothing without efsprov's tags is ever touched. Leftovers are marked first and removed by the next look.
    """
    reapings = [
        Reaping(open_session(region, profile), lambda: datetime.now(UTC), at_once=now, run=run)
        for region in regions or _usual_regions(profile)
    ]
    plans = [(reaping, reaping.plan()) for reaping in reapings]
    planned = [one for _, plan in plans for one in plan]
    if not as_json:
        _print_plan(planned)
    to_do = [one for one in planned if one.action != "leave"]
    sure = bool(to_do) and not dry_run and (yes or confirmed(_question(len(to_do)), as_json=as_json))
    done: list[Planned] = []
    if sure:
        for reaping, plan in plans:
            done += reaping.execute(plan, _tell)
    elif not dry_run and not to_do:
        for reaping, plan in plans:
            reaping.execute(plan, _tell)  # forgets records of runs that left nothing
    if as_json:
        print_json({"plan": [_as_json(one) for one in planned], "done": [_as_json(one) for one in done]})
    elif sure:
        removed = sum(one.action == "remove" for one in done)
        out.print(f"[green]✓[/] removed {removed}, marked {len(done) - removed}.")


def _usual_regions(profile: str | None) -> list[str]:
    known = sorted({record.region for record in read_records()})
    try:
        return sorted({open_session(None, profile).region, *known})
    except (AwsError, UsageError):
        if known:
            return known
        raise


def _tell(message: str) -> None:
    err.print(escape(message))


def _question(number: int) -> str:
    return f"Do this to {pluralize(number, 'resource')}?"


def _print_plan(planned: list[Planned]) -> None:
    if not planned:
        out.print("Nothing that carries efsprov's tags was found.")
        return
    shown = table("", "what", "id", "run", "region", "why")
    colors = {"remove": "red", "mark": "yellow", "leave": "green"}
    for one in planned:
        resource = one.resource
        action, run = f"[{colors[one.action]}]{one.action}[/]", escape(resource.run)  # whoever may tag has written that
        shown.add_row(action, resource.kind, resource.id, run, resource.region, one.why)
    print_table(shown)


def _as_json(one: Planned) -> dict[str, Any]:
    resource = one.resource
    return {
        "action": one.action,
        "kind": resource.kind,
        "id": resource.id,
        "name": resource.name,
        "run": resource.run,
        "region": resource.region,
        "why": one.why,
    }
