"""Asks before something is deleted."""

import sys
from typing import Annotated

import typer

from efsprov.cli.console import err

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirmed(question: str, *, as_json: bool) -> bool:
    """Ask on the terminal; nobody says yes where there is none, or where a machine reads along."""
    if as_json or not sys.stdin.isatty():
        err.print("Nothing was changed: there is no terminal to confirm on. Use --yes.")
        return False
    return typer.confirm(question, err=True)
