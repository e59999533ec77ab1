"""`efsprov layer`: the shim as a Lambda layer, or as a wheel; and a release's packages as layers, where they fit."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import typer

from efsprov.aws.layers import LayerVersion, StoredArchive, publish_layer
from efsprov.aws.object_store import ObjectStore
from efsprov.aws.session import open_session
from efsprov.bundle.lambda_layer import MOST_LAYERS, LayerPlan, plan_layers, write_layer
from efsprov.cli.aws_options import Profile, Region
from efsprov.cli.console import out, print_json, size
from efsprov.cli.options import Arch, ChannelName, Json, OptionalReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.core.errors import UsageError
from efsprov.core.target import ARCHES, LAMBDA_RUNTIMES, Target
from efsprov.emit.archive import MAX_UNZIPPED, MAX_UPLOAD
from efsprov.emit.shim import DISTRIBUTION, layer_archive, wheel_archive, wheel_name
from efsprov.store.journal import read_state
from efsprov.store.verify import read_files, read_manifest

_Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder that the files go to.")]
_Wheel = Annotated[
    bool, typer.Option("--wheel", help="Also write the wheel of `efsprov-bootstrap`, for container images.")
]
_Publish = Annotated[
    bool, typer.Option("--publish", help="Publish the layer in AWS; the same bytes are published once.")
]
_Split = Annotated[
    int, typer.Option("--split", metavar="N", min=1, max=MOST_LAYERS, help="Share the packages out among N layers.")
]
_Reserve = Annotated[
    int, typer.Option("--reserve", metavar="MB", min=0, help="Room to keep for the function's code and other layers.")
]
_NoBytecode = Annotated[
    bool, typer.Option("--no-bytecode", help="Smaller, but each cold start compiles what it imports.")
]
_LayerName = Annotated[
    str, typer.Option("--name", metavar="NAME", help="The layer's name in AWS (default: efsprov-CHANNEL).")
]
_Bucket = Annotated[
    str, typer.Option("--bucket", metavar="NAME", help="Where a layer of more than 50 MB is put to be published.")
]
_Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The layer's name in AWS.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    layers = typer.Typer(
        no_args_is_help=True, help="Make Lambda layers: of the shim, or of a release that is small enough."
    )
    layers.command("bootstrap")(bootstrap)
    layers.command("deps")(deps)
    app.add_typer(layers, name="layer")


def bootstrap(
    output: _Output = Path(),
    name: _Name = DISTRIBUTION,
    region: Region = None,
    profile: Profile = None,
    *,
    wheel: _Wheel = False,
    publish: _Publish = False,
    as_json: Json = False,
) -> None:
    """Write the shim's layer as a zip, the same bytes every time, and publish it when asked."""
    made = installed_version("efsprov")
    contents = {f"{DISTRIBUTION}-layer.zip": layer_archive()}
    if wheel:
        contents[wheel_name(made)] = wheel_archive(made)
    written = {_write(output / file, content): content for file, content in contents.items()}
    published = _publish(name, layer_archive(), made, region, profile) if publish else None
    if as_json:
        files = [
            {"path": str(path), "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in written.items()
        ]
        layer = {"arn": published.arn, "published": published.made} if published else None
        print_json({"files": files, "layer": layer})
        return
    for path, content in written.items():
        out.print(f"[green]✓[/] {path}, {size(len(content))}")
    if published:
        out.print(f"[green]✓[/] {published.arn}" + ("" if published.made else ", which was there already"))


def deps(
    root: RootDirectory,
    release: OptionalReleaseId = None,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    output: _Output = Path(),
    split: _Split = 1,
    reserve: _Reserve = 0,
    name: _LayerName = "",
    bucket: _Bucket = "",
    region: Region = None,
    profile: Profile = None,
    *,
    no_bytecode: _NoBytecode = False,
    publish: _Publish = False,
    as_json: Json = False,
) -> None:
    """Write the packages of a release as one layer, or several: the same bytes every time. What does not fit is refused."""
    chosen = select_channel(root, channel, runtime, arch)
    named = select_release(chosen, read_state(chosen), release or "current")
    files = read_files(chosen, named, read_manifest(chosen, named))
    target = Target.parse(chosen.target)
    plans = plan_layers(files, target, parts=split, reserve=reserve * 1_000_000, bytecode=not no_bytecode)
    base = name or f"efsprov-{chosen.name}"
    if not output.is_dir():
        raise UsageError(f"{output} is not a folder.", hint="Name one with --output.")
    made = []
    for number, plan in enumerate(plans, 1):
        own = base if len(plans) == 1 else f"{base}-{number}"
        path = output / f"{own}-layer.zip"
        stored, sha256 = write_layer(chosen.release_path(named), plan, path)
        made.append(_Made(own, path, plan, stored, sha256))
    large = [each for each in made if each.stored > MAX_UPLOAD]
    if publish and large and not bucket:
        raise UsageError(
            f"{large[0].path} has {large[0].stored:,} bytes; Lambda takes {MAX_UPLOAD:,} in a request.",
            hint="Name a bucket for it with --bucket, or --split into smaller layers. The files stay where they are.",
        )
    versions = [_publish_packages(each, target, named, bucket, region, profile) for each in made] if publish else []
    _report_packages(made, versions, as_json=as_json)


@dataclass(frozen=True)
class _Made:
    """A layer that was written: ``stored`` are the bytes of its zip."""

    name: str
    path: Path
    plan: LayerPlan
    stored: int
    sha256: str


def _publish_packages(
    made: _Made, target: Target, release: str, bucket: str, region: str | None, profile: str | None
) -> LayerVersion:
    aws = open_session(region, profile)
    archive: bytes | StoredArchive
    if made.stored <= MAX_UPLOAD:
        archive = made.path.read_bytes()
    else:
        store, key = ObjectStore(aws, bucket, "efsprov-layers"), f"{made.sha256}.zip"
        if store.size(key) != made.stored:
            with made.path.open("rb") as file:
                store.upload(key, iter(lambda: file.read(1 << 20), b""))
        archive = StoredArchive(bucket, f"efsprov-layers/{key}", made.sha256)
    return publish_layer(
        aws,
        made.name,
        archive,
        runtimes=[target.runtime],
        arches=[target.arch],
        description=f"packages of efsprov's release {release}",
    )


def _report_packages(made: Sequence[_Made], versions: Sequence[LayerVersion], *, as_json: bool) -> None:
    if as_json:
        layers = [
            {
                "name": each.name,
                "path": str(each.path),
                "size": each.stored,
                "sha256": each.sha256,
                "unzipped": each.plan.size,
                "packages": list(each.plan.packages),
                "arn": version.arn if version else None,
                "published": version.made if version else None,
            }
            for each, version in zip_longest(made, versions)
        ]
        print_json({"layers": layers})
        return
    for each in made:
        out.print(f"[green]✓[/] {each.path}, {size(each.stored)} ({size(each.plan.size)} unzipped)", soft_wrap=True)
    for version in versions:
        out.print(f"[green]✓[/] {version.arn}" + ("" if version.made else ", which was there already"), soft_wrap=True)
    left = MAX_UNZIPPED - sum(each.plan.size for each in made)
    out.print(f"  {size(left)} of what Lambda unpacks are left to the function and its other layers.")


def _write(path: Path, content: bytes) -> Path:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint="Name a folder with --output.") from error
    return path


def _publish(name: str, archive: bytes, version: str, region: str | None, profile: str | None) -> LayerVersion:
    return publish_layer(
        open_session(region, profile),
        name,
        archive,
        runtimes=[runtime.name for runtime in LAMBDA_RUNTIMES if runtime.ends is not None],
        arches=ARCHES,
        description=f"efsprov.bootstrap of efsprov {version}",
    )
