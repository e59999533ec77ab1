"""The reference pages say what the code does."""

import re
from pathlib import Path

from efsprov.cli.config import Config
from efsprov.core import requirement_file
from efsprov.core.errors import EfsprovError

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def all_errors(root=EfsprovError):
    for error in root.__subclasses__():
        yield error
        yield from all_errors(error)


def test_every_error_class_is_listed_with_its_codes():
    page = (REFERENCE / "exit-codes.md").read_text()
    listed = {
        (int(exit_code), code) for exit_code, code in re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", page, re.MULTILINE)
    }
    assert listed == {(e.exit_code, e.code) for e in {EfsprovError, *all_errors()}}


def test_exit_codes_are_unique():
    codes = [e.exit_code for e in {EfsprovError, *all_errors()} if "exit_code" in vars(e)]
    assert len(codes) == len(set(codes))


def test_every_setting_is_listed():
    page = (REFERENCE / "configuration.md").read_text()

    def keys(model, prefix=""):
        for name, field in model.model_fields.items():
            inner = getattr(field.annotation, "model_fields", None)
            if name == "channels":
                yield from keys(field.annotation.__args__[1], "channels.NAME.")
            elif inner:
                yield from keys(field.annotation, f"{prefix}{name}.")
            else:
                yield prefix + name

    missing = [key for key in keys(Config) if f"`{key}`" not in page]
    assert missing == []


def test_every_option_of_requirement_files_is_listed():
    page = (REFERENCE / "requirement-files.md").read_text()
    table = page[page.index("| option |") : page.index("## Hashes")]
    listed = set(re.findall(r"`(--?[A-Za-z-]+)`", "".join(line.split("|")[1] for line in table.splitlines() if line)))
    options = requirement_file.option_names()
    assert listed == options
