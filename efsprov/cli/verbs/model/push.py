"""`efsprov model push`: a model from this machine or from S3 becomes a release."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from efsprov.aws.objects import S3Source
from efsprov.aws.session import open_session
from efsprov.cli.aws_options import Profile, Region
from efsprov.cli.config import load_config
from efsprov.cli.console import out, print_json, report_publication
from efsprov.cli.options import Again, Json
from efsprov.cli.progress import shown_progress
from efsprov.cli.verbs.model.options import ModelName, ModelRoot, NoActivate, in_words_of_models
from efsprov.cli.verbs.prune import NoWait
from efsprov.core.errors import UsageError
from efsprov.models.policy import read_trust
from efsprov.models.provision import Provision, provision
from efsprov.models.publish import Published
from efsprov.models.source import LocalSource, Source
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.layout import Root

_Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A file, a folder, an archive, or s3://BUCKET/KEY-OR-PREFIX.")
]
_Sha256 = Annotated[
    str | None, typer.Option("--sha256", metavar="HEX", help="What the file (or the folder's file list) must hash to.")
]
_Meta = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="A remark to keep; may be repeated.")
]
_MadeFor = Annotated[
    str, typer.Option("--for", metavar="CHANNEL", help="The channel of dependencies that it is made for.")
]
_Pays = Annotated[
    bool, typer.Option("--requester-pays", help="Pay for the requests to a bucket of S3 whose owner does not.")
]
_Trust = Annotated[bool, typer.Option("--trust", help="Publish it although loading it may run code that it carries.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("push")(push)


def push(
    context: typer.Context,
    root: ModelRoot,
    name: ModelName,
    source: _Source,
    *,
    sha256: _Sha256 = None,
    meta: _Meta = None,
    made_for: _MadeFor = "",
    trust: _Trust = False,
    requester_pays: _Pays = False,
    region: Region = None,
    profile: Profile = None,
    again: Again = False,
    no_activate: NoActivate = False,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Publish a model as a new release and make it current in one atomic step."""
    outermost = context.find_root()
    config = load_config(outermost.params.get("config"))
    wanted = Provision(
        sha256=sha256.lower() if sha256 else None,
        meta=read_meta(meta or ()),
        made_for=made_for,
        trusted=read_trust(["all"] if trust else config.models.trust),
        activate=not no_activate,
        wait=not no_wait,
        again=again,
    )
    with in_words_of_models(name), shown_progress() as emit:
        opened, steps = Root.open(root, writing=True), ProgressReporter(emit)
        channel = opened.channel(name, kind="model")
        if made_for and made_for not in {c.name for c in opened.channels()}:
            steps.note("check", f"There is no channel {made_for} in {opened.path} yet, which --for names.")
        result = provision(channel, choose_source(source, region, profile, pays=requester_pays), wanted, steps)
    if as_json:
        print_json(describe_result(result))
    else:
        report_result(name, result)


def choose_source(text: str, region: str | None, profile: str | None, *, pays: bool = False) -> Source:
    """Return what can bring the files that ``text`` names."""
    if not text.startswith("s3://"):
        return LocalSource(Path(text))
    return S3Source.parse(text, open_session(region, profile), pays=pays)


def read_meta(words: Sequence[str]) -> dict[str, str]:
    """Read `KEY=VALUE` words; raises ``UsageError``."""
    meta = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--meta {word!r} is not KEY=VALUE.", hint="For example: --meta accuracy=0.97")
        meta[key.strip()] = value
    return meta


def describe_result(result: Published) -> dict[str, object]:
    """Return what was published as plain data."""
    return {
        "outcome": result.outcome,
        "release": result.release,
        "path": str(result.path / "files"),
        "activated": result.activated,
        "before": result.before,
        "manifest": result.manifest.model_dump(mode="json"),
    }


def report_result(name: str, result: Published) -> None:
    """Print what was published."""
    facts, figures = result.manifest.model, result.manifest.figures
    report_publication(f"model {name}", result.outcome, result.release, figures, what=f"{facts.format}, ")
    if facts.trusted:
        out.print(f"[yellow]  It may run code when it is loaded ({', '.join(facts.trusted)}); that was trusted.[/]")
    if not result.activated:
        out.print(f"  It is not current: efsprov model activate {name} {result.release}")
    elif result.outcome == "published":
        out.print(f"[dim]  SHA-256 {facts.sha256}[/]")
        out.print(f'[dim]  In the function: efsprov.bootstrap.model("{name}") is the folder that holds it.[/]')
