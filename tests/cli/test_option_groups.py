from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from efsprov.cli.option_groups import spread_groups


@dataclass(frozen=True)
class Colours:
    first: Annotated[str, typer.Option("--first", envvar="FIRST")]
    more: Annotated[list[str] | None, typer.Option("--more")] = None


def test_a_verb_gets_a_group_whole():
    app, got = typer.Typer(), []

    @app.command()
    @spread_groups
    def paint(context: typer.Context, colours: Colours, *, loud: Annotated[bool, typer.Option("--loud")] = False):
        """Paint it."""
        got.append((context.info_name, colours, loud))

    run = CliRunner().invoke
    run(app, ["--first", "red", "--more", "a", "--more", "b"], catch_exceptions=False)
    run(app, ["--loud"], env={"FIRST": "blue"}, catch_exceptions=False)
    assert [(colours, loud) for _, colours, loud in got] == [
        (Colours("red", ["a", "b"]), False),
        (Colours("blue", None), True),
    ]
    assert run(app, []).exit_code == 2
    assert "Paint it." in run(app, ["--help"]).output
