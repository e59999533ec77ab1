"""`efsprov bundle`: a release as an OCI image layout, to carry it from one root to others."""

from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from efsprov.aws.session import open_session
from efsprov.bundle.blobs import Bundle, Place, open_bundle, read_index
from efsprov.bundle.places import parse_place
from efsprov.bundle.pull import Contents, kind_of, read_contents
from efsprov.bundle.pull import pull as pull_bundle
from efsprov.bundle.push import push as push_release
from efsprov.bundle.verify import verify as verify_bundle
from efsprov.cli.aws_options import Profile, Region
from efsprov.cli.console import out, print_json, print_table, report_publication, size, table
from efsprov.cli.options import Again, Arch, Json, RootDirectory, Runtime
from efsprov.cli.progress import shown_progress
from efsprov.cli.select import select_channel, select_release
from efsprov.cli.verbs.prune import NoWait
from efsprov.core.errors import IntegrityError, UsageError
from efsprov.core.events import Event
from efsprov.core.manifest import Manifest
from efsprov.core.wording import pluralize
from efsprov.models.manifest import ModelManifest, read_model_manifest
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel, Root
from efsprov.store.verify import read_manifest

_What = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel, or models/NAME.")]
_Rest = Annotated[
    list[str],
    typer.Argument(
        metavar="[ID] DEST", help="The release (without it the current one), and oci:FOLDER or s3://BUCKET/PREFIX."
    ),
]
_Source = Annotated[str, typer.Argument(metavar="SOURCE", help="oci:FOLDER or s3://BUCKET/PREFIX.")]
_Name = Annotated[
    str, typer.Argument(metavar="[BUNDLE]", help="Its name, its release's id, its digest, or how one of them begins.")
]
_Channel = Annotated[
    str, typer.Option("--channel", metavar="NAME", help="The channel (or model) to place it in; its own, if not given.")
]
_EveryBlob = Annotated[bool, typer.Option("--all-blobs", help="Send also the blobs that are there already.")]
_NoActivate = Annotated[bool, typer.Option("--no-activate", help="Publish the release, but leave `current` as it is.")]
_MODELS = "models/"


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    bundles = typer.Typer(no_args_is_help=True, help="Carry releases between roots: as OCI image layouts.")
    for verb in (push, pull, list_, show, verify):
        bundles.command(verb.__name__.rstrip("_"))(verb)
    app.add_typer(bundles, name="bundle")


def push(
    root: RootDirectory,
    what: _What,
    rest: _Rest,
    runtime: Runtime = None,
    arch: Arch = None,
    region: Region = None,
    profile: Profile = None,
    *,
    all_blobs: _EveryBlob = False,
    as_json: Json = False,
) -> None:
    """Push a release to a folder or an S3 prefix. What is there already is not sent."""
    if len(rest) not in {1, 2}:
        raise UsageError(f"{len(rest)} words follow {what}.", hint="It reads efsprov bundle push CHANNEL [ID] DEST.")
    place = _place(rest[-1], region, profile)
    if what.startswith(_MODELS):
        channel = select_channel(root, what.removeprefix(_MODELS), kind="model")
    else:
        channel = select_channel(root, what, runtime, arch)
    release = select_release(channel, read_state(channel), rest[0] if len(rest) > 1 else "current")
    with shown_progress() as emit:
        pushed = push_release(channel, _manifest(channel, release), place, ProgressReporter(emit), every_blob=all_blobs)
    if as_json:
        print_json(
            {
                "name": pushed.ref,
                "digest": pushed.digest,
                "release": release,
                "layers": pushed.layers,
                "bytes": pushed.size,
                "sent_layers": pushed.blobs,
                "sent_bytes": pushed.sent,
            }
        )
        return
    out.print(f"[green]✓[/] {channel.label}: release [bold]{release}[/] is at {place.name}")
    out.print(f"  as {pushed.ref}", soft_wrap=True)
    out.print(f"  {pushed.digest}", soft_wrap=True)
    out.print(
        f"  {size(pushed.sent)} of {size(pushed.size)} sent: {pushed.blobs} of {pluralize(pushed.layers, 'layer')}."
    )


def pull(
    root: RootDirectory,
    source: _Source,
    name: _Name = "",
    channel: _Channel = "",
    region: Region = None,
    profile: Profile = None,
    *,
    again: Again = False,
    no_activate: _NoActivate = False,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Place a bundle on the root as a release, and make it current. Files that the root has are linked, not fetched."""
    opened = Root.open(root, writing=True)
    bundle = open_bundle(_place(source, region, profile), name)
    contents = _contents(bundle)
    kind, manifest = kind_of(bundle), contents.manifest
    into = opened.channel(channel or manifest.channel, manifest.target, kind=kind)
    with shown_progress() as emit:
        done = pull_bundle(
            into,
            contents,
            ProgressReporter(emit),
            run=uuid4().hex,
            activate=not no_activate,
            wait=not no_wait,
            again=again,
            reader=_manifest,
        )
    release, figures = done.manifest.id, done.manifest.figures
    if as_json:
        print_json(
            {
                "outcome": done.outcome,
                "release": release,
                "path": str(into.release_path(release)),
                "activated": done.activated,
                "before": done.before,
                "digest": bundle.descriptor.digest,
                "figures": figures.model_dump(mode="json"),
            }
        )
        return
    report_publication(into.label, done.outcome, release, figures)
    if not done.activated:
        verb = "model activate " + into.name if kind == "model" else "activate"
        out.print(f"  It is not current: efsprov {verb} {release}")


def list_(source: _Source, region: Region = None, profile: Profile = None, *, as_json: Json = False) -> None:
    """List the bundles of a place, by name."""
    place = _place(source, region, profile)
    found = sorted(read_index(place).manifests, key=lambda d: (d.ref, d.digest))
    if as_json:
        print_json(
            {"place": place.name, "bundles": [{"name": d.ref, "digest": d.digest, "made": d.made} for d in found]}
        )
        return
    shown = table("bundle", "made (UTC)", "digest", least=("digest",))
    for each in found:
        shown.add_row(each.ref or "-", str(each.made.get("created", ""))[:19].replace("T", " "), each.digest[7:19])
    print_table(shown)


def show(
    source: _Source, name: _Name = "", region: Region = None, profile: Profile = None, *, as_json: Json = False
) -> None:
    """Show what a bundle holds, and which of its layers how much."""
    bundle = open_bundle(_place(source, region, profile), name)
    contents = _contents(bundle)
    names = _names_of(contents)
    if as_json:
        layers = [
            {"digest": layer.digest, "bytes": layer.size, "holds": held}
            for layer, held in zip(bundle.manifest.layers, names, strict=True)
        ]
        print_json(
            {
                "name": bundle.descriptor.ref,
                "digest": bundle.descriptor.digest,
                "bytes": bundle.size,
                "release": dict(bundle.described.release),
                "made": bundle.descriptor.made,
                "layers": layers,
            }
        )
        return
    manifest = contents.manifest
    out.print(f"[bold]{bundle.descriptor.ref or bundle.descriptor.digest}[/]", soft_wrap=True)
    out.print(f"  {bundle.descriptor.digest}", soft_wrap=True)
    what = f"model {manifest.channel}" if kind_of(bundle) == "model" else f"{manifest.channel} ({manifest.target})"
    out.print(f"  {what}, {size(bundle.size)} in {pluralize(len(names), 'layer')}, {len(contents.files)} files")
    if manifest.requirements:
        out.print(f"  {', '.join(manifest.requirements)}")
    shown = table("layer", "size", "holds", numbers=("size",))
    for layer, held in zip(bundle.manifest.layers, names, strict=True):
        shown.add_row(layer.digest[7:19], size(layer.size), ", ".join(held))
    print_table(shown)


def verify(
    source: _Source, name: _Name = "", region: Region = None, profile: Profile = None, *, as_json: Json = False
) -> None:
    """Read a bundle whole: every blob against its digest, every file against the list."""
    bundle = open_bundle(_place(source, region, profile), name)
    contents = _contents(bundle)
    payload = Root(Path("/")).channel("any", kind=kind_of(bundle)).payload
    with shown_progress() as emit:
        problems = verify_bundle(
            contents,
            payload,
            lambda done, total: emit(Event(step="check", state="progress", done=done, total=total, unit="bytes")),
        )
    if as_json:
        print_json(
            {
                "name": bundle.descriptor.ref,
                "digest": bundle.descriptor.digest,
                "bytes": bundle.size,
                "findings": [{"path": p.where, "problem": p.what} for p in problems],
            }
        )
        if problems:
            raise typer.Exit(IntegrityError.exit_code)
        return
    for problem in problems:
        out.print(f"[red]✗[/] {problem.where} {problem.what}", soft_wrap=True)
    if problems:
        raise IntegrityError(
            f"{bundle.name}: {pluralize(len(problems), 'finding')}.",
            hint="Push the release again where it is whole, with `bundle push --all-blobs`.",
        )
    out.print(
        f"[green]✓[/] {bundle.descriptor.ref or bundle.descriptor.digest}: {size(bundle.size)} in "
        f"{pluralize(len(bundle.manifest.layers), 'layer')}, all as the digests and the file list say."
    )


def _place(text: str, region: str | None, profile: str | None) -> Place:
    return parse_place(text, lambda: open_session(region, profile))


def _manifest(channel: Channel, release: str) -> Manifest:
    return read_model_manifest(channel, release) if channel.kind == "model" else read_manifest(channel, release)


def _contents(bundle: Bundle) -> Contents[Any]:
    return read_contents(bundle, ModelManifest if kind_of(bundle) == "model" else Manifest)


def _names_of(contents: Contents[Any]) -> list[list[str]]:
    """Return for each layer the names at the top of what it holds."""
    held: list[dict[str, None]] = [{} for _ in contents.bundle.manifest.layers]
    for entry in contents.files:
        parts = entry.path.split("/")
        held[contents.places[entry.path][0]].setdefault(parts[1] if len(parts) > 1 else parts[0])
    return [list(names) for names in held]
