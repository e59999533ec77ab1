"""What `release.json` tells of a model beyond what every release has."""

from typing import Any

from pydantic import Field, ValidationError

from efsprov.core import manifest as manifests
from efsprov.core.errors import IntegrityError
from efsprov.core.frozen import Frozen
from efsprov.core.manifest import Manifest
from efsprov.models.formats.inspection import Format, RiskKind
from efsprov.models.report import Report
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import read_regular
from efsprov.store.layout import Channel
from efsprov.store.verify import read_manifest


class Lineage(Frozen):
    """What a model was made from: a release of a model, and what was done to it by which tools.

    ``channels`` are the releases that did it ({channel: release}), ``versions`` what was in them ({tool: version}).
    """

    model: str
    release: str
    steps: tuple[str, ...]
    channels: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    report: Report | None = None


class ModelFacts(Frozen):
    """``entry`` is what to load, relative to the model's folder; ``sha256`` is what `--sha256` pins.

    ``origin`` tells where the files came from, ``trusted`` which risks were accepted, ``made_for`` the channel of
    dependencies that the model wants.
    """

    format: Format
    entry: str = ""
    sha256: str
    origin: dict[str, str] = Field(default_factory=dict)
    trusted: tuple[RiskKind, ...] = ()
    made_for: str = ""
    lineage: Lineage | None = None


class ModelManifest(Manifest):
    """`release.json` of a model."""

    model: ModelFacts


def read_model_manifest(channel: Channel, release: str) -> ModelManifest:
    """Return a model's manifest; raises ``NotFoundError`` or ``IntegrityError``."""
    read_manifest(channel, release)
    path = channel.release_path(release) / manifests.NAME
    with translate_os_errors("Reading the manifest", path):
        text = read_regular(path)
    try:
        return ModelManifest.model_validate_json(text)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        raise IntegrityError(
            f"{path} is not a model's manifest: {'.'.join(map(str, first['loc']))} {first['msg']}.",
            hint="The release is damaged; `efsprov model verify` tells more. Roll back, or push again.",
        ) from error
