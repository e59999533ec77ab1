"""`efsprov layer bootstrap`: the shim as a Lambda layer, or as a wheel."""

import hashlib
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from efsprov.aws.layers import LayerVersion, publish_layer
from efsprov.aws.session import open_session
from efsprov.cli.aws_options import Profile, Region
from efsprov.cli.console import out, print_json, size
from efsprov.cli.options import Json
from efsprov.core.errors import UsageError
from efsprov.core.target import ARCHES, LAMBDA_RUNTIMES
from efsprov.emit.shim import DISTRIBUTION, layer_archive, wheel_archive, wheel_name

_Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder that the files go to.")]
_Wheel = Annotated[
    bool, typer.Option("--wheel", help="Also write the wheel of `efsprov-bootstrap`, for container images.")
]
_Publish = Annotated[
    bool, typer.Option("--publish", help="Publish the layer in AWS; the same bytes are published once.")
]
_Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The layer's name in AWS.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    layers = typer.Typer(no_args_is_help=True, help="Make the layer through which functions get `efsprov.bootstrap`.")
    layers.command("bootstrap")(bootstrap)
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
