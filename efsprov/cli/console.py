"""What the command line prints, and where: results to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from efsprov.core.errors import EfsprovError
from efsprov.core.masking import mask
from efsprov.core.wording import pluralize, printable

if TYPE_CHECKING:
    from efsprov.core.manifest import Figures

_UNBOUNDED: Final = 10_000
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(document: BaseModel | Mapping[str, Any]) -> None:
    """Print the one JSON document of a ``--json`` command. Times are in ISO 8601, like ``2026-11-21T06:30:00Z``."""
    plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    sys.stdout.write(json.dumps(_masked(plain), indent=2, default=_plain) + "\n")
    sys.stdout.flush()


def _masked(value: Any) -> Any:
    """Return a JSON value with the credentials in its texts hidden."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def print_error(error: EfsprovError, *, as_json: bool) -> None:
    """Print a failure: for people to stderr; with ``--json`` as ``{"error": {"code", "message", "hint"}}`` to stdout."""
    if as_json:
        print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        return
    err.print(f"[bold red]efsprov:[/] {escape(printable(mask(error.message)))}")
    if error.hint:
        err.print(f"[cyan]{escape(printable(mask(error.hint)))}[/]")


class FittingTable(Table):
    """A table that gives up the columns ``least``, in their order, where there is no room for all."""

    least: Sequence[str] = ()


def table(*columns: str, numbers: Sequence[str] = (), least: Sequence[str] = ()) -> FittingTable:
    """Return an empty table; columns named in ``numbers`` are aligned to the right, those in ``least`` may be left out."""
    made = FittingTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    made.least = least
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    return made


def print_table(made: FittingTable) -> None:
    """Print a table so that nothing in it is cut: what is in a table is there to be copied.

    What is piped on is as wide as it is. A terminal that is too narrow gets fewer columns, then a line a field.
    """
    if not out.is_terminal:
        Console(file=sys.stdout, highlight=False, width=_UNBOUNDED).print(made, crop=False)
        return
    for name in made.least:
        if _width(made) <= out.width:
            break
        made = _without(made, name)
    if _width(made) <= out.width:
        out.print(made)
        return
    titles = [str(column.header) for column in made.columns]
    longest = max(map(len, titles))
    for number, row in enumerate(zip(*(list(column.cells) for column in made.columns), strict=True)):
        if number:
            out.print()
        for title, cell in zip(titles, row, strict=True):
            if cell and not title:
                out.print(str(cell), soft_wrap=True)  # a mark of the whole row
            elif cell:
                out.print(f"[bold]{title:{longest}}[/]  {cell}", soft_wrap=True)


def _without(made: FittingTable, name: str) -> FittingTable:
    """The table without a column: rich keeps a column's place in it, so another one is made."""
    kept = [column for column in made.columns if column.header != name]
    fewer = table(*(str(column.header) for column in kept), least=made.least)
    for column, old in zip(fewer.columns, kept, strict=True):
        column.justify = old.justify
    for row in zip(*(list(column.cells) for column in kept), strict=True):
        fewer.add_row(*row)
    return fewer


def _width(made: Table) -> int:
    return Measurement.get(out, out.options.update(width=_UNBOUNDED), made).maximum


def report_publication(label: str, outcome: str, release: str, figures: "Figures", *, what: str = "") -> None:
    """Print what came of a publication of ``label``; ``what`` says what the release is, and ends with a comma and a space."""
    if outcome == "unchanged":
        out.print(f"[green]✓[/] {label}: release {release} holds the same.")
    elif outcome == "reactivated":
        out.print(f"[green]✓[/] {label}: release {release} holds the same; it is current again.")
    else:
        linked = f", {size(figures.linked_bytes)} of it linked" if figures.linked_bytes else ""
        out.print(
            f"[green]✓[/] {label}: release [bold]{release}[/], {what}{size(figures.bytes)} in "
            f"{pluralize(figures.files, 'file')}{linked}."
        )


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
