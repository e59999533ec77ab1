"""`efsprov prune`: remove releases that nobody needs any more."""

from datetime import timedelta
from typing import Annotated

import typer

from efsprov.cli.aws_options import DryRun
from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import Arch, ChannelName, Json, RootDirectory, Runtime
from efsprov.cli.select import select_channel
from efsprov.core.retention import Decision, Rules
from efsprov.core.wording import pluralize
from efsprov.store.layout import Channel
from efsprov.store.prune import PruneReport, execute_prune, plan_prune

KeepLast = Annotated[int, typer.Option("--keep-last", metavar="N", min=1, help="Keep the newest N releases.")]
GraceHours = Annotated[
    float,
    typer.Option(
        "--grace-hours",
        metavar="H",
        min=0,
        help="Keep what was active less than H hours ago (clock errors are allowed for).",
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail when a publisher is at work, instead of waiting.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("prune")(prune)


def prune(
    root: RootDirectory,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    keep_last: KeepLast = 5,
    grace_hours: GraceHours = 72,
    *,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Remove old releases: never the current, the previous, a pinned one, the last N, or one in use lately."""
    chosen = select_channel(root, channel, runtime, arch, writing=not dry_run)
    prune_in(chosen, keep_last=keep_last, grace_hours=grace_hours, dry_run=dry_run, wait=not no_wait, as_json=as_json)


def prune_in(chosen: Channel, *, keep_last: int, grace_hours: float, dry_run: bool, wait: bool, as_json: bool) -> None:
    """Remove old releases of a channel or a model."""
    plan = plan_prune(chosen, Rules(keep_last=keep_last, grace=timedelta(hours=grace_hours)))
    report = None if dry_run else execute_prune(chosen, plan, wait=wait)
    if as_json:
        print_json(
            {
                "channel": chosen.name,
                "target": chosen.target,
                "dry_run": dry_run,
                "decisions": [_plain(d) for d in plan.decisions],
                "pruned": list(report.pruned) if report else [],
                "spared": [_plain(d) for d in report.spared] if report else [],
                "freed_bytes": report.freed if report else 0,
                "left": list(report.left) if report else [],
            }
        )
        return
    shown = table("", "release", "because")
    for decision in plan.decisions:
        shown.add_row("[green]stays[/]" if decision.keep else "[red]goes[/]", decision.release, decision.reason)
    print_table(shown)
    if report is None:
        out.print(f"Nothing was changed. {len(plan.doomed)} of {len(plan.decisions)} releases would go.")
    else:
        _print_report(report)


def _print_report(report: PruneReport) -> None:
    for decision in report.spared:
        out.print(f"[yellow]spared[/] {decision.release}: {decision.reason}")
    for line in report.left:
        out.print(f"[yellow]left for the next time[/] {line}")
    out.print(f"[green]✓[/] {pluralize(len(report.pruned), 'release')} removed, {size(report.freed)} freed.")


def _plain(decision: Decision) -> dict[str, object]:
    return {"release": decision.release, "keep": decision.keep, "reason": decision.reason}
