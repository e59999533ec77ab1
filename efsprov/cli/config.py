"""`efsprov.toml`: settings for the options of all verbs. Flags win over `EFSPROV_*`, those over this file."""

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import typer
from pydantic import Field, ValidationError, field_validator

from efsprov.builders.ec2.settings import Ec2Settings
from efsprov.builders.ssh.settings import SshSettings
from efsprov.core.build import BuilderName
from efsprov.core.channel_name import check_channel_name
from efsprov.core.errors import UsageError
from efsprov.core.frozen import Exact
from efsprov.models.policy import read_trust
from efsprov.pipeline.tools.installer_settings import InstallerSection

FILE = "efsprov.toml"


class ChannelSection(Exact):
    """`[channels.NAME]`: what `efsprov sync --channel NAME` means when it is given no requirement."""

    framework: str | None = None
    requirements: tuple[str, ...] = ()
    requirement_files: tuple[Path, ...] = ()
    imports: tuple[str, ...] = ()
    runtime: str | None = None
    arch: Literal["x86_64", "arm64"] | None = None
    slim: tuple[str, ...] = ()


class PruneSection(Exact):
    """`[prune]`: which releases stay."""

    keep_last: int = Field(default=5, ge=1)
    grace_hours: float = Field(default=72, ge=0)


class ModelsSection(Exact):
    """`[models]`: which models may be published although they may run code when they are loaded."""

    trust: tuple[str, ...] = ()

    @field_validator("trust")
    @classmethod
    def _known(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        try:
            read_trust(words)
        except UsageError as error:
            raise ValueError(f"{error.message} {error.hint}") from error
        return words


class Config(Exact):
    """The whole file. Paths in it are relative to its folder."""

    root: Path | None = None
    channel: str | None = None
    runtime: str | None = None
    arch: Literal["x86_64", "arm64"] | None = None
    builder: BuilderName | None = None
    builder_function: str | None = None
    installer: InstallerSection = InstallerSection()
    channels: dict[str, ChannelSection] = Field(default_factory=dict)
    prune: PruneSection = PruneSection()
    models: ModelsSection = ModelsSection()
    ssh: SshSettings = SshSettings()
    ec2: Ec2Settings = Ec2Settings()


def find_config(named: Path | None) -> Path | None:
    """Return the settings file: the named one, else `efsprov.toml` in this folder or the nearest above it."""
    if named is not None:
        if not named.is_file():
            raise UsageError(f"There is no settings file {named}.", hint="`efsprov init` writes one.")
        return named
    here = Path.cwd()
    return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)


def load_config(named: Path | None) -> Config:
    """Read the settings file; an empty ``Config`` where there is none. Raises ``UsageError`` naming the key at fault."""
    file = find_config(named)
    if file is None:
        return Config()
    try:
        config = Config.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.", hint="`efsprov init` writes a file to start from.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        what = f"there is no setting {key}" if first["type"] == "extra_forbidden" else f"{key}: {first['msg']}"
        raise UsageError(f"{file}: {what}.", hint="docs/reference/configuration.md lists the keys.") from error
    for name in config.channels:
        check_channel_name(name)
    folder = file.parent
    channels = {
        name: section.model_copy(update={"requirement_files": tuple(folder / f for f in section.requirement_files)})
        for name, section in config.channels.items()
    }
    root = folder / config.root.expanduser() if config.root else None
    installer, ssh = config.installer.anchored(folder), config.ssh.anchored(folder)
    return config.model_copy(update={"root": root, "channels": channels, "installer": installer, "ssh": ssh})


def load_defaults(named: Path | None, app: typer.Typer) -> dict[str, Any]:
    """Return the defaults that the settings file gives to the verbs' options, as click's ``default_map``."""
    if named is None and os.environ.get("EFSPROV_CONFIG") == "":
        return {}
    config = load_config(named)
    common = {
        key: getattr(config, key) for key in ("root", "channel", "runtime", "arch", "builder", "builder_function")
    }
    given = {key: str(value) for key, value in common.items() if value is not None}
    return _defaults_of(app, given, prune=config.prune.model_dump(exclude_unset=True))


def _defaults_of(app: typer.Typer, given: dict[str, str], *, prune: dict[str, Any]) -> dict[str, Any]:
    verbs = (command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands)
    defaults: dict[str, Any] = {verb: given | (prune if verb == "prune" else {}) for verb in verbs}
    groups = ((group.name, group.typer_instance) for group in app.registered_groups)
    return defaults | {
        name: _defaults_of(inner, given, prune=prune) for name, inner in groups if isinstance(name, str) and inner
    }
