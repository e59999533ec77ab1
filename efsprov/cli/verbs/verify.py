"""`efsprov verify`: hold what lies on the root against manifests and journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, ChannelName, Everything, Json, OptionalReleaseId, RootDirectory, Runtime
from efsprov.cli.progress import shown_progress
from efsprov.cli.select import describe_channel, select_channel, select_everything, select_release
from efsprov.core.errors import IntegrityError
from efsprov.core.events import Event
from efsprov.core.wording import pluralize
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.repair import repair as repair_channel
from efsprov.store.verify import Finding, check_channel, check_links, check_release
from efsprov.store.verify_lock import check_lock

Quick = Annotated[bool, typer.Option("--quick/--full", help="Names and sizes only, or every file's SHA-256.")]
Repair = Annotated[bool, typer.Option("--repair", help="Put right what is mechanical: `current`, leftovers, trash.")]

_HINT: Final = "`efsprov verify --repair` repairs links and leftovers; a damaged release: `efsprov mark-bad ID`, roll back, sync again."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


def verify(
    root: RootDirectory,
    release: OptionalReleaseId = None,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    *,
    everything: Everything = False,
    quick: Quick = False,
    repair: Repair = False,
    as_json: Json = False,
) -> None:
    """Check a channel and its releases (or one release): every file against its SHA-256, `current` against the journal."""
    if everything:
        chosen = select_everything(root, (release, channel, runtime, arch), writing=repair)
        checked = [_check(each, None, quick=quick, repair=repair) for each in chosen]
        _report_all(checked, as_json=as_json)
        return
    found = select_channel(root, channel, runtime, arch, writing=repair)
    verify_in(found, release, quick=quick, repair=repair, as_json=as_json)


def verify_in(chosen: Channel, release: str | None, *, quick: bool, repair: bool, as_json: bool) -> None:
    """Check a channel or a model and its releases, or one of them."""
    checked = _check(chosen, release, quick=quick, repair=repair)
    if as_json:
        print_json(checked.document())
        if checked.findings:
            raise typer.Exit(IntegrityError.exit_code)
        return
    _print(checked)
    if checked.findings:
        raise IntegrityError(f"{checked.summary}.", hint=_HINT)


@dataclass(frozen=True)
class _Checked:
    """What a check of one channel found; ``named`` are the releases that were looked at."""

    channel: Channel
    named: Sequence[str]
    findings: Sequence[Finding]
    repaired: Sequence[str]
    quick: bool

    @property
    def summary(self) -> str:
        releases = pluralize(len(self.named), "checked release")
        return f"{self.channel.label}: {pluralize(len(self.findings), 'finding')} in {releases}"

    def document(self) -> dict[str, Any]:
        return {
            "checked": list(self.named),
            "full": not self.quick,
            "repaired": list(self.repaired),
            "findings": [{"path": f.path, "problem": f.problem} for f in self.findings],
        }


def _check(chosen: Channel, release: str | None, *, quick: bool, repair: bool) -> _Checked:
    if links := check_links(chosen):
        return _Checked(chosen, (), links, (), quick)
    repaired = repair_channel(chosen) if repair else ()
    state = read_state(chosen)
    named = [select_release(chosen, state, release)] if release is not None else [r.id for r in state.live]
    findings = [] if release is not None else list(check_channel(chosen, state))
    missing = {f.path for f in findings}
    with shown_progress() as emit:
        for each in named:
            if f"releases/{each}" not in missing:
                emit(Event(step="check", state="started", message=each))
                findings += check_release(
                    chosen,
                    each,
                    full=not quick,
                    progress=lambda done, total: emit(Event(step="check", state="progress", done=done, total=total)),
                )
                findings += () if quick else check_lock(chosen, each)
    return _Checked(chosen, named, findings, repaired, quick)


def _print(checked: _Checked) -> None:
    for line in checked.repaired:
        out.print(f"[green]repaired[/] {line}")
    for finding in checked.findings:
        out.print(f"[red]✗[/] {finding}")
    if not checked.findings:
        how = "names and sizes" if checked.quick else "every file's SHA-256"
        releases = pluralize(len(checked.named), "release")
        out.print(f"[green]✓[/] {checked.channel.label}: {releases} checked, all as in the manifest ({how}).")


def _report_all(checked: Sequence[_Checked], *, as_json: bool) -> None:
    wrong = [each for each in checked if each.findings]
    if as_json:
        print_json({"channels": [{**describe_channel(each.channel), **each.document()} for each in checked]})
        if wrong:
            raise typer.Exit(IntegrityError.exit_code)
        return
    for each in checked:
        _print(each)
    if wrong:
        raise IntegrityError(f"{'; '.join(each.summary for each in wrong)}.", hint=_HINT)
