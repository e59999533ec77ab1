"""What the command line prints, and where: results to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from efsprov.core.errors import EfsprovError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(document: BaseModel | Mapping[str, Any]) -> None:
    """Print the one JSON document of a ``--json`` command. Times are in ISO 8601, like ``2026-11-21T06:30:00Z``."""
    plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    sys.stdout.write(json.dumps(plain, indent=2, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def print_error(error: EfsprovError, *, as_json: bool) -> None:
    """Print a failure: for people to stderr; with ``--json`` as ``{"error": {"code", "message", "hint"}}`` to stdout."""
    if as_json:
        print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        return
    err.print(f"[bold red]efsprov:[/] {escape(error.message)}")
    if error.hint:
        err.print(f"[cyan]{escape(error.hint)}[/]")


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table; columns named in ``numbers`` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    return made


def print_table(made: Table) -> None:
    """Print a table as wide as it is: what is piped on must not be cut at 80 columns."""
    if out.is_terminal:
        out.print(made)
    else:
        Console(file=sys.stdout, highlight=False, width=10_000).print(made, crop=False)


def size(number: float) -> str:
    """Write a number of bytes for people, in powers of 1000: `1.6 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" or abs(number) >= 99.5 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Write seconds for people: `0.4 s`, `12 s`, `3 min 5 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
