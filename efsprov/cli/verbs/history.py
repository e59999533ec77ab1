"""`efsprov history`: the journal of a channel."""

from typing import Annotated

import typer

from efsprov.cli.console import print_json, print_table, table
from efsprov.cli.options import Arch, ChannelName, Json, RootDirectory, Runtime
from efsprov.cli.select import select_channel
from efsprov.store.journal import read_entries
from efsprov.store.layout import Channel

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entries, counted from the newest.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("history")(history)


def history(
    root: RootDirectory,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    limit: Limit = 50,
    *,
    as_json: Json = False,
) -> None:
    """Show who did what to a channel, and when; the newest last."""
    history_of(select_channel(root, channel, runtime, arch), limit=limit, as_json=as_json)


def history_of(chosen: Channel, *, limit: int, as_json: bool) -> None:
    """Show who did what to a channel or a model."""
    entries = read_entries(chosen)[-limit:]
    if as_json:
        print_json(
            {
                "channel": chosen.name,
                "target": chosen.target,
                "entries": [{"number": e.number, **e.model_dump(mode="json")} for e in entries],
            }
        )
        return
    shown = table("#", "when (UTC)", "what", "release", "who", "note", numbers=("#",), least=("#",))
    for entry in entries:
        shown.add_row(str(entry.number), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.do, entry.release, entry.by, entry.note)
    print_table(shown)
