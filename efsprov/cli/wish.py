"""The options of `sync` and `plan`, and how they and the settings file become one wish."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from efsprov.cli.config import ChannelSection, load_config
from efsprov.core.channel_name import check_channel_name
from efsprov.core.errors import UsageError
from efsprov.core.slim import check_rules
from efsprov.pipeline.planning import Wish, name_of

WritableRoot = Annotated[
    Path,
    typer.Option(
        "--root", envvar="EFSPROV_ROOT", metavar="DIR", help="Where the file system is mounted on the builder."
    ),
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
BuilderName = Annotated[
    Literal["local", "ssh", "ec2", "lambda"],
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
class WishOptions:
    """The options that say what is to be made, and where."""

    root: WritableRoot
    framework: Framework = None
    requirements: RequirementFiles = None
    channel: NewChannel = None
    runtime: TargetRuntime = "auto"
    arch: Architecture = "x86_64"
    builder: BuilderName = "local"
    imports: Imports = None
    slim: SlimRules = None
    installer: Installer = "uv"
    cuda: Cuda = False
    allow_sdists: AllowSdists = False


def read_wish(context: typer.Context, options: WishOptions, *, activate: bool = True, wait: bool = True) -> Wish:
    """Join the options with `[channels.NAME]` of the settings file; options win. Raises ``UsageError``."""
    config = load_config(context.parent.params.get("config") if context.parent else None)
    frameworks, files, channel = tuple(options.framework or ()), tuple(options.requirements or ()), options.channel
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
    given = {"runtime": options.runtime, "arch": options.arch}
    for key in given:
        by_default = context.get_parameter_source(key)
        if by_default is not None and by_default.name in {"DEFAULT", "DEFAULT_MAP"} and getattr(section, key):
            given[key] = getattr(section, key)
    wish = Wish(
        root=options.root,
        channel=channel,
        builder=options.builder,
        requirements=tuple(r for r in requirements if r),
        requirement_files=(*files, *section.requirement_files),
        imports=split_names(options.imports or section.imports),
        slim=check_rules(options.slim or section.slim),
        installer=options.installer,
        installer_settings=config.installer,
        cuda=options.cuda,
        allow_sdists=options.allow_sdists,
        activate=activate,
        wait=wait,
        **given,
    )
    if not wish.requirements and not wish.requirement_files:
        raise UsageError(
            f"Nothing is named that channel {channel} should hold.",
            hint="Name it with --framework or -r, or in [channels] of efsprov.toml.",
        )
    return wish


def split_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names in ``texts``, which have one or several with commas between, each once."""
    return tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))
