"""`efsprov doctor`: what goes wrong for people, one line each, with the remediation."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from efsprov.aws.session import Aws, open_session
from efsprov.builders.on_lambda.calls import inspect_root
from efsprov.cli.aws_options import AccessPoint, Profile, Region
from efsprov.cli.channel_source import InspectedRoot, StatedTarget, builder_root
from efsprov.cli.console import out, print_json
from efsprov.cli.options import BuilderFunction, Json
from efsprov.core.access_point import access_point_id
from efsprov.core.errors import EfsprovError
from efsprov.core.tags import BUILDER_FUNCTION
from efsprov.functions.channels import ChannelFacts, read_channels, stated_channels
from efsprov.functions.collect import Question, collect
from efsprov.functions.disk_space import DiskSpace, read_disk_space
from efsprov.functions.doctor import examine
from efsprov.functions.finding import Finding

_Function = Annotated[
    str | None, typer.Option("--function", metavar="NAME", help="A user's function, or the builder function.")
]
_Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="NAME", help="A channel (default: those of the function); may be repeated."),
]
_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "problem": "[red]✗[/]", "unknown": "[cyan]?[/]"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor")(doctor)


def doctor(
    function: _Function = None,
    access_point: AccessPoint = None,
    channel: _Channels = None,
    root: InspectedRoot = None,
    builder_function: BuilderFunction = None,
    target: StatedTarget = None,
    region: Region = None,
    profile: Profile = None,
    *,
    as_json: Json = False,
) -> None:
    """Diagnose common problems; changes nothing, and works on what these credentials may read."""
    aws = open_session(region, profile)
    names = tuple(channel or ())
    seeing = _seeing(aws, names, root, builder_function, target)
    question = Question(
        function=function,
        access_point=access_point_id(access_point) if access_point else None,
        channels=names,
        builder_tag=BUILDER_FUNCTION,
        inspect_root=seeing,
    )
    findings = examine(collect(aws, question))
    if as_json:
        print_json({"findings": [finding.model_dump() for finding in findings]})
    else:
        _report(findings)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(EfsprovError.exit_code)


def _seeing(
    aws: Aws, names: tuple[str, ...], root: Path | None, builder_function: str | None, target: str | None
) -> Callable[[], tuple[tuple[ChannelFacts, ...], DiskSpace | None]] | None:
    """Return what looks at the channels and the room, by whatever way there is; None where there is none."""
    if root is not None and root.is_dir():
        return lambda: (read_channels(root), read_disk_space(root))
    if builder_function is not None:

        def ask() -> tuple[tuple[ChannelFacts, ...], DiskSpace | None]:
            seen = inspect_root(aws, builder_function, builder_root(aws, builder_function))
            return tuple(ChannelFacts.model_validate(result) for result in seen["channels"]), DiskSpace(
                **seen["disk_space"]
            )

        return ask
    return (lambda: (stated_channels(names, target), None)) if target is not None else None


def _report(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        out.print(f"{_SIGNS[finding.level]} [bold]{finding.check}[/]: {_plain(finding.message)}")
        if finding.remediation and finding.level != "ok":
            out.print(f"    [cyan]{_plain(finding.remediation)}[/]")
    counted = {level: sum(f.level == level for f in findings) for level in ("problem", "warning", "unknown")}
    result = [
        f"{count} {word if count == 1 else plural}"
        for word, plural, count in (
            ("problem", "problems", counted["problem"]),
            ("warning", "warnings", counted["warning"]),
            ("thing that could not be read", "things that could not be read", counted["unknown"]),
        )
        if count
    ]
    out.print(", ".join(result) + "." if result else "Nothing is wrong.")


def _plain(text: str) -> str:
    return escape(" ".join(text.split()))
