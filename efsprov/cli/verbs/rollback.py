"""`efsprov rollback`: go back to an earlier release."""

from typing import Annotated

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, ChannelName, Json, RootDirectory, Runtime
from efsprov.cli.select import command, select_channel, select_release
from efsprov.store import publish
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel

GoTo = Annotated[str | None, typer.Option("--to", metavar="ID", help="The release to go to (default: the one before).")]
BadReason = Annotated[
    str | None, typer.Option("--bad", metavar="WHY", help="Also mark the release that is left as bad.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("rollback")(rollback)


def rollback(
    root: RootDirectory,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    to: GoTo = None,
    reason: BadReason = None,
    *,
    as_json: Json = False,
) -> None:
    """Go back to the release that was active before this one, in one atomic step."""
    rollback_in(select_channel(root, channel, runtime, arch, writing=True), to=to, reason=reason, as_json=as_json)


def rollback_in(chosen: Channel, *, to: str | None, reason: str | None, as_json: bool) -> None:
    """Go back to an earlier release of a channel or a model."""
    target = select_release(chosen, read_state(chosen), to) if to else None
    left, current = publish.rollback(chosen, to=target)
    if reason is not None and left != current:
        publish.mark(chosen, "mark-bad", left, note=reason)
    if as_json:
        print_json({"channel": chosen.name, "target": chosen.target, "current": current, "before": left})
    elif left == current:
        out.print(f"{current} is current in {chosen.label} already.")
    else:
        out.print(f"[green]✓[/] {chosen.label}: back from {left} to {current}.")
        forward = f" Forward again: {command(chosen, 'activate')} {left}" if reason is None else ""
        out.print(f"[dim]Functions that start from now on use it.{forward}[/]")
