"""`efsprov verify`: hold what lies on the root against manifests and journal."""

from typing import Annotated

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, ChannelName, Json, OptionalReleaseId, RootDirectory, Runtime
from efsprov.cli.progress import shown_progress
from efsprov.cli.select import select_channel, select_release
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
    quick: Quick = False,
    repair: Repair = False,
    as_json: Json = False,
) -> None:
    """Check a channel and its releases (or one release): every file against its SHA-256, `current` against the journal."""
    verify_in(
        select_channel(root, channel, runtime, arch, writing=repair),
        release,
        quick=quick,
        repair=repair,
        as_json=as_json,
    )


def verify_in(chosen: Channel, release: str | None, *, quick: bool, repair: bool, as_json: bool) -> None:
    """Check a channel or a model and its releases, or one of them."""
    if links := check_links(chosen):
        _report(list(links), [], repaired=(), as_json=as_json, label=chosen.label, quick=quick)
        return
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
    _report(findings, named, repaired=repaired, as_json=as_json, label=chosen.label, quick=quick)


def _report(
    findings: list[Finding], named: list[str], *, repaired: tuple[str, ...], as_json: bool, label: str, quick: bool
) -> None:
    if as_json:
        document = {
            "checked": named,
            "full": not quick,
            "repaired": list(repaired),
            "findings": [{"path": f.path, "problem": f.problem} for f in findings],
        }
        print_json(document)
        if findings:
            raise typer.Exit(IntegrityError.exit_code)
        return
    for line in repaired:
        out.print(f"[green]repaired[/] {line}")
    for finding in findings:
        out.print(f"[red]✗[/] {finding}")
    how = "names and sizes" if quick else "every file's SHA-256"
    if findings:
        raise IntegrityError(
            f"{label}: {pluralize(len(findings), 'finding')} in {pluralize(len(named), 'checked release')}.",
            hint="`efsprov verify --repair` repairs links and leftovers; a damaged release: `efsprov mark-bad ID`, roll back, sync again.",
        )
    out.print(f"[green]✓[/] {label}: {pluralize(len(named), 'release')} checked, all as in the manifest ({how}).")
