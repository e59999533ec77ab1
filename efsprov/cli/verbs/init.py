"""`efsprov init`: write a commented settings file."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Final

import typer

from efsprov.cli.config import FILE
from efsprov.cli.console import out, print_json
from efsprov.cli.options import Json
from efsprov.core.errors import UsageError

_Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]
_Folder = Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write it.")]

TEMPLATE: Final = """\
# Settings of efsprov. Flags win over EFSPROV_* variables, those over this file, this file over the defaults.
# Every key may be left out. Paths are relative to this file.

# Where the file system is mounted: an EFS mount or access point, or any local directory.
root = "./efs"

# The Lambda runtime to build for: "python3.9", "python3.11", ...; "auto" takes the newest for which every wheel exists;
# "host" builds for this machine's own interpreter and C library (container images from one's own base).
runtime = "auto"

# The functions' architecture: "x86_64" or "arm64".
arch = "x86_64"

# Where releases are built: "local" (this machine has the file system mounted), "ssh", "ec2" or "lambda".
builder = "local"
# builder_function = "efsprov-builder"       # with "lambda"; `efsprov builder deploy` makes it

# What `efsprov sync --channel NAME` installs when the command line names nothing.
[channels.tensorflow]
framework = "tensorflow==2.15"
# requirements = ["pillow"]                 # more requirements, installed together with the framework
# requirement_files = ["requirements.txt"]
# imports = ["tensorflow", "keras"]         # what the smoke test imports (default: what the requirements provide)

# Where packages come from. What UV_* and PIP_* variables say counts as well; this wins.
[installer]
# index = "https://packages.example.com/simple"
# extra_indexes = []
# find_links = ["./wheels"]
# proxy = "http://proxy.example.com:3128"
# certificate = "/etc/ssl/certs/ca-certificates.crt"

# Which releases `efsprov prune` keeps, besides the current, the previous and pinned ones.
[prune]
keep_last = 5
grace_hours = 72      # since a release was deactivated: functions that pinned it may still be running

# Models that run code when they are loaded are refused, unless they are trusted here or by --trust.
[models]
trust = []            # such as ["keras-code"]: docs/reference/model-formats.md

# With builder = "ssh": a host that has the file system mounted at the same path.
[ssh]
# host = "ec2-user@build.example.com"

# With builder = "ec2": an instance is launched for the build and removed after it.
[ec2]
# file_system = "fs-0123456789abcdef0"
# access_point = "fsap-0123456789abcdef0"
# instance_profile = "efsprov-builder"
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("init")(init)


def init(folder: _Folder = Path(), *, force: _Force = False, as_json: Json = False) -> None:
    """Write a commented efsprov.toml to start from."""
    file = folder / FILE
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a directory.", hint="Name the folder of your project.")
    if file.exists() and not force:
        raise UsageError(f"{file} exists.", hint=f"`efsprov init{_at(folder)} --force` overwrites it.")
    try:
        file.write_text(TEMPLATE, "utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", hint="Name a folder that can.") from error
    if as_json:
        print_json({"written": str(file)})
    else:
        where = "" if folder.resolve() == Path.cwd() else f" --config {quote(str(file))}"
        out.print(f"[green]✓[/] wrote {file}. Look through it, then: efsprov{where} plan --channel tensorflow")


def _at(folder: Path) -> str:
    return "" if folder == Path() else f" {quote(str(folder))}"
