"""`efsprov model list` and `show`: the models of a root, and one release of one, whole."""

from typing import Annotated, Any, Final

import typer

from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import Json, OptionalReleaseId
from efsprov.cli.select import select_release
from efsprov.cli.verbs.list import describe_release, of_journal, remarks_of
from efsprov.cli.verbs.model.options import ModelName, ModelRoot, chosen_model, in_words_of_models
from efsprov.cli.verbs.model.report import report_lines
from efsprov.core.errors import EfsprovError
from efsprov.core.history import Release, State
from efsprov.core.wording import pluralize
from efsprov.models.manifest import ModelManifest, read_model_manifest
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel, Root

_OptionalName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The model (default: all).")]
_ORIGIN: Final = {"uri": "source", "etag": "ETag", "version_id": "version", "checked_by": "checked by"}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("list")(list_models)
    app.command("show")(show)


def list_models(root: ModelRoot, name: _OptionalName = None, *, as_json: Json = False) -> None:
    """List the models of a root and their releases, the newest first."""
    with in_words_of_models(name or "NAME"):
        opened = Root.open(root)
        if name is not None:
            opened.channel(name, kind="model").require()
    chosen = [c for c in opened.channels(kind="model") if name in {None, c.name}]
    if as_json:
        print_json({"root": str(opened.path), "models": [_describe(c) for c in chosen]})
        return
    if not chosen:
        out.print(f"No model in {opened.path} yet. `efsprov model push NAME SOURCE` makes one.")
    for number, each in enumerate(chosen):
        out.print(("\n" if number else "") + f"[bold]{each.name}[/]  {each.path}")
        _print_releases(each)


def show(root: ModelRoot, name: ModelName, release: OptionalReleaseId = None, *, as_json: Json = False) -> None:
    """Show one release of a model (the current one by default): what it is, where it came from, what was measured."""
    with chosen_model(root, name) as channel:
        state = read_state(channel)
        named = select_release(channel, state, release or "current")
        manifest = read_model_manifest(channel, named)
    result = describe_release(channel, state, state.releases[named])
    if as_json:
        path = channel.release_path(named) / channel.payload
        print_json({"path": str(path), **of_journal(result), "manifest": manifest.model_dump(mode="json")})
        return
    words = remarks_of(result)
    out.print(f"[bold]{named}[/]  {channel.label}" + (f"  ({', '.join(words)})" if words else ""))
    for fact, text in _facts(channel, manifest):
        out.print(f"  [dim]{fact:<13}[/] {text}")
    lineage = manifest.model.lineage
    if lineage and lineage.report:
        for line in report_lines(lineage.report):
            out.print(f"  {line}")


def _describe(channel: Channel) -> dict[str, Any]:
    state = read_state(channel)
    return {
        "model": channel.name,
        "current": state.current,
        "previous": state.previous,
        "releases": [_describe_release(channel, state, release) for release in reversed(state.live)],
    }


def _describe_release(channel: Channel, state: State, release: Release) -> dict[str, Any]:
    result = describe_release(channel, state, release)
    result.pop("distributions", None)
    try:
        manifest = read_model_manifest(channel, release.id)
    except EfsprovError:
        return result
    facts = manifest.model.model_dump(mode="json", include={"format", "entry", "sha256", "made_for", "trusted"})
    return result | facts | {"meta": manifest.meta}


def _print_releases(channel: Channel) -> None:
    shown = table("", "release", "format", "size", "files", "published", "remarks", numbers=("size", "files"))
    for release in _describe(channel)["releases"]:
        sound = "format" in release
        shown.add_row(
            "[green]->[/]" if release["current"] else "",
            release["id"],
            release.get("format", ""),
            size(release["bytes"]) if sound else "",
            str(release["files"]) if sound else "",
            f"{release['published']:%Y-%m-%d %H:%M}",
            ", ".join(remarks_of(release)),
        )
    print_table(shown)


def _facts(channel: Channel, manifest: ModelManifest) -> list[tuple[str, str]]:
    facts, figures = manifest.model, manifest.figures
    folder = channel.release_path(manifest.id) / channel.payload
    result = [
        ("format", facts.format),
        ("load", str(folder / facts.entry) if facts.entry else str(folder)),
        ("size", f"{size(figures.bytes)} in {pluralize(figures.files, 'file')}"),
        ("SHA-256", facts.sha256),
        *((_ORIGIN.get(key, key), text) for key, text in facts.origin.items()),
        ("created", f"{manifest.created:%Y-%m-%d %H:%M:%S} UTC on {manifest.builder.host}"),
    ]
    if facts.made_for:
        result.append(("made for", facts.made_for))
    if facts.trusted:
        result.append(("may run code", f"{', '.join(facts.trusted)} (trusted)"))
    if (made := facts.lineage) is not None:
        result.append(("made from", f"{made.model} {made.release}: {', then '.join(made.steps)}"))
        result.append(("made by", ", ".join(f"{tool} {version}" for tool, version in made.versions.items())))
    return [*result, *manifest.meta.items()]
