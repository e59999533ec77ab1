"""`efsprov prune`: remove releases that nobody needs any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import typer

from efsprov.cli.aws_options import DryRun
from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import Arch, ChannelName, Everything, Json, RootDirectory, Runtime
from efsprov.cli.select import describe_channel, select_channel, select_everything
from efsprov.core.retention import Decision, Rules
from efsprov.core.wording import pluralize
from efsprov.store.layout import Channel
from efsprov.store.prune import PrunePlan, PruneReport, execute_prune, plan_prune

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
    everything: Everything = False,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Remove old releases: never the current, the previous, a pinned one, the last N, or one in use lately."""
    rules = Rules(keep_last=keep_last, grace=timedelta(hours=grace_hours))
    if not everything:
        chosen = select_channel(root, channel, runtime, arch, writing=not dry_run)
        done = _prune(chosen, rules, dry_run=dry_run, wait=not no_wait)
        _report([done], as_json=as_json, alone=True)
        return
    every = select_everything(root, (channel, runtime, arch), writing=not dry_run)
    _report([_prune(each, rules, dry_run=dry_run, wait=not no_wait) for each in every], as_json=as_json, alone=False)


def prune_in(chosen: Channel, *, keep_last: int, grace_hours: float, dry_run: bool, wait: bool, as_json: bool) -> None:
    """Remove old releases of a channel or a model."""
    rules = Rules(keep_last=keep_last, grace=timedelta(hours=grace_hours))
    _report([_prune(chosen, rules, dry_run=dry_run, wait=wait)], as_json=as_json, alone=True)


@dataclass(frozen=True)
class _Pruned:
    """What was decided of one channel, and done; ``report`` is None where nothing was to be done."""

    channel: Channel
    plan: PrunePlan
    report: PruneReport | None

    def document(self) -> dict[str, Any]:
        report = self.report
        return {
            "channel": self.channel.name,
            "target": self.channel.target,
            "dry_run": report is None,
            "decisions": [_plain(d) for d in self.plan.decisions],
            "pruned": list(report.pruned) if report else [],
            "spared": [_plain(d) for d in report.spared] if report else [],
            "freed_bytes": report.freed if report else 0,
            "left": list(report.left) if report else [],
        }


def _prune(chosen: Channel, rules: Rules, *, dry_run: bool, wait: bool) -> _Pruned:
    plan = plan_prune(chosen, rules)
    return _Pruned(chosen, plan, None if dry_run else execute_prune(chosen, plan, wait=wait))


def _report(done: Sequence[_Pruned], *, as_json: bool, alone: bool) -> None:
    if as_json:
        documents = [each.document() for each in done]
        kinds = [describe_channel(each.channel) for each in done]
        every = [{**kind, **document} for kind, document in zip(kinds, documents, strict=True)]
        print_json(documents[0] if alone else {"channels": every})
        return
    for each in done:
        if not alone:
            out.print(f"[bold]{each.channel.label}[/]")
        shown = table("", "release", "because")
        for decision in each.plan.decisions:
            shown.add_row("[green]stays[/]" if decision.keep else "[red]goes[/]", decision.release, decision.reason)
        print_table(shown)
        if each.report is None:
            total = len(each.plan.decisions)
            out.print(f"Nothing was changed. {len(each.plan.doomed)} of {total} releases would go.")
        else:
            _print_report(each.report)


def _print_report(report: PruneReport) -> None:
    for decision in report.spared:
        out.print(f"[yellow]spared[/] {decision.release}: {decision.reason}")
    for line in report.left:
        out.print(f"[yellow]left for the next time[/] {line}")
    out.print(f"[green]✓[/] {pluralize(len(report.pruned), 'release')} removed, {size(report.freed)} freed.")


def _plain(decision: Decision) -> dict[str, object]:
    return {"release": decision.release, "keep": decision.keep, "reason": decision.reason}
