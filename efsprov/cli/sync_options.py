"""The options of `sync` and `plan`, and how they and the settings file become one wish."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from efsprov.cli.config import ChannelSection, load_config
from efsprov.core.build import BuilderName
from efsprov.core.channel_name import check_channel_name
from efsprov.core.errors import UsageError
from efsprov.core.slim import check_rules
from efsprov.pipeline.resolve.plan import SyncOptions, name_of

WritableRoot = Annotated[
    Path,
    typer.Option(
        "--root", envvar="EFSPROV_ROOT", metavar="DIR", help="Where the file system is mounted on the builder."
    ),
]
Requirement = Annotated[
    list[str] | None,
    typer.Argument(metavar="[REQUIREMENT]...", help="What to install: 'tensorflow==2.15'; the same as --framework."),
]
Framework = Annotated[
    list[str] | None,
    typer.Option(
        "--framework",
        "-f",
        metavar="REQUIREMENT",
        help="What to install: 'tensorflow==2.15', 'torch'; may be repeated.",
    ),
]
RequirementFiles = Annotated[
    list[Path] | None, typer.Option("--requirements", "-r", metavar="FILE", help="A requirement file; may be repeated.")
]
NewChannel = Annotated[
    str | None,
    typer.Option(
        "--channel", envvar="EFSPROV_CHANNEL", metavar="NAME", help="The channel (default: the first framework's name)."
    ),
]
TargetRuntime = Annotated[
    str,
    typer.Option(
        "--runtime",
        envvar="EFSPROV_RUNTIME",
        metavar="NAME",
        help="'python3.11', ...; 'auto': the newest Lambda runtime for which every wheel exists; 'host': this machine's own.",
    ),
]
Architecture = Annotated[
    str, typer.Option("--arch", envvar="EFSPROV_ARCH", metavar="ARCH", help="'x86_64' or 'arm64'.")
]
BuilderChoice = Annotated[
    BuilderName,
    typer.Option("--builder", envvar="EFSPROV_BUILDER", help="Where the release is built."),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="NAME",
        help="What the smoke test imports, with commas between several, or repeated (default: what the requirements provide).",
    ),
]
SlimRules = Annotated[
    list[str] | None,
    typer.Option("--slim", metavar="RULE", help="Leave out: headers, static, tests, stubs, debug; may be repeated."),
]
Installer = Annotated[Literal["uv", "pip"], typer.Option("--installer", help="What installs the wheels.")]
Cuda = Annotated[bool, typer.Option("--cuda", help="Take PyTorch with CUDA, which no Lambda function can use.")]
AllowSdists = Annotated[
    bool, typer.Option("--allow-sdists", help="Build packages that have no wheel. Runs their code.")
]


@dataclass(frozen=True, kw_only=True)
class SyncArguments:
    """The options that say what is to be made, and where."""

    root: WritableRoot
    requirement: Requirement = None
    framework: Framework = None
    requirements: RequirementFiles = None
    channel: NewChannel = None
    runtime: TargetRuntime = "auto"
    arch: Architecture = "x86_64"
    builder: BuilderChoice = "local"
    imports: Imports = None
    slim: SlimRules = None
    installer: Installer = "uv"
    cuda: Cuda = False
    allow_sdists: AllowSdists = False


def read_sync_options(
    context: typer.Context, arguments: SyncArguments, *, activate: bool = True, wait: bool = True, again: bool = False
) -> SyncOptions:
    """Join the options with `[channels.NAME]` of the settings file; options win. Raises ``UsageError``."""
    config = load_config(context.parent.params.get("config") if context.parent else None)
    frameworks, files, channel = (
        (*(arguments.requirement or ()), *(arguments.framework or ())),
        tuple(arguments.requirements or ()),
        arguments.channel,
    )
    if channel is None and not frameworks and not files and len(config.channels) == 1:
        channel = next(iter(config.channels))
    if channel is None and frameworks:
        channel = name_of(frameworks[0])
    if channel is None:
        raise UsageError(
            "No channel is named." if files else "Nothing to install is named.",
            hint="--channel NAME says where a requirement file's packages go."
            if files
            else "Try: efsprov sync --root DIR --framework tensorflow==2.15",
        )
    check_channel_name(channel)
    section = config.channels.get(channel, ChannelSection())
    requirements = (*(frameworks or (section.framework,)), *section.requirements)
    given = {"runtime": arguments.runtime, "arch": arguments.arch}
    for key in given:
        by_default = context.get_parameter_source(key)
        if by_default is not None and by_default.name in {"DEFAULT", "DEFAULT_MAP"} and getattr(section, key):
            given[key] = getattr(section, key)
    options = SyncOptions(
        root=arguments.root,
        channel=channel,
        builder=arguments.builder,
        requirements=tuple(r for r in requirements if r),
        requirement_files=(*files, *section.requirement_files),
        imports=split_names(arguments.imports or section.imports),
        slim=check_rules(arguments.slim or section.slim),
        installer=arguments.installer,
        installer_settings=config.installer,
        cuda=arguments.cuda,
        allow_sdists=arguments.allow_sdists,
        activate=activate,
        wait=wait,
        again=again,
        **given,
    )
    if not options.requirements and not options.requirement_files:
        raise UsageError(
            f"Nothing is named that channel {channel} should hold.",
            hint="Name it with --framework or -r, or in [channels] of efsprov.toml.",
        )
    return options


def split_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names in ``texts``, which have one or several with commas between, each once."""
    return tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))
