"""Reads requirements once: those of the command line, of files and of what these include, into data.

What was understood is all that the resolver is given; see ``core/requirement_file.py`` for the format.
"""

import codecs
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from packaging.requirements import Requirement

from efsprov.core.errors import UsageError
from efsprov.core.masking import SECRETS, mask
from efsprov.core.pins import Pins, collect_pins
from efsprov.core.requirement_file import FileOptions, Include, RequirementLine, parse_requirement_file, with_url_hash
from efsprov.core.requirements import check_requirement, requirement_name
from efsprov.core.urls import split_url

STDIN: Final = Path("-")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")  # PEP 263, in one of the first two lines
_LOGIN_ONLY: Final = {"http", "https"}


@dataclass(frozen=True)
class Requirements:
    """What was asked for. ``texts`` are requirements and ``constraints`` limits, both without hashes; ``pins`` has those.

    ``options`` are the files' own; its find-links are absolute. Credentials stand in them as they were written.
    """

    texts: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    pins: Pins = field(default_factory=Pins)
    options: FileOptions = field(default_factory=FileOptions, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The normalised names of the distributions that were asked for, each once, in their order."""
        return tuple(dict.fromkeys(requirement_name(text) for text in self.texts))

    @property
    def shown(self) -> tuple[str, ...]:
        """The requirements as they may be shown and stored."""
        return tuple(mask(text) for text in self.texts)

    @property
    def logins(self) -> tuple[str, ...]:
        """The servers, with credentials, that direct URLs name: `https://user:password@host`."""
        urls = [split_url(Requirement(text).url or "") for text in self.texts]
        return tuple(
            dict.fromkeys(f"{u.scheme}://{u.netloc}" for u in urls if "@" in u.netloc and u.scheme in _LOGIN_ONLY)
        )


def read_requirements(
    direct: Iterable[str],
    files: Iterable[Path],
    *,
    constraint_files: Iterable[Path] = (),
    require_hashes: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Requirements:
    """Check and collect requirements; raises ``UsageError`` for the first that is none, with its file and line.

    Each file is read once, so that pipes will do; `-` is standard input. ``environ`` is what `${NAME}` in files stands for.
    """
    reader = _Reader(os.environ if environ is None else environ)
    given = tuple(check_requirement(text) for text in direct)
    SECRETS.learn(given)
    lines = [with_url_hash(RequirementLine(text, "the command line")) for text in given]
    files = tuple(files)
    for file in files:
        lines += reader.read(file, constraint=False)
    for file in constraint_files:
        reader.read(file, constraint=True)
    if not lines:
        empty = ", ".join(map(_name, files))
        raise UsageError(
            f"{empty} holds no requirement." if files else "Nothing was asked for.",
            hint="Name a framework, --framework tensorflow==2.15, or a requirement file, -r requirements.txt.",
        )
    pins = collect_pins(lines, reader.constraints, required=require_hashes or reader.options.require_hashes)
    return Requirements(
        tuple(dict.fromkeys(_with_absolute_file(line) for line in lines)),
        tuple(dict.fromkeys(_with_absolute_file(line) for line in reader.constraints)),
        pins,
        reader.options,
    )


class _Reader:
    """Reads files and what they include, each once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.constraints: list[RequirementLine] = []
        self.options = FileOptions()
        self._environ = environ
        self._seen: set[tuple[Path, bool]] = set()

    def read(self, file: Path, *, constraint: bool) -> list[RequirementLine]:
        """Return the requirements of a file and of those that it includes; constraints are collected."""
        try:
            key = (file if file == STDIN else file.resolve(), constraint)
        except (ValueError, OSError, RuntimeError) as error:  # a NUL in it, a name that is too long, links in a circle
            raise UsageError(
                f"{mask(str(file))!r} is not a file's name: {error}.", hint="Correct the line that includes it."
            ) from error
        if key in self._seen:
            return []
        self._seen.add(key)
        text = _decode(_bytes_of(file), file)
        SECRETS.learn(text.splitlines())
        parsed = parse_requirement_file(text, where=_name(file), environ=self._environ)
        self._take_options(parsed.options, file)
        for line in parsed.lines:
            SECRETS.learn([line.text])
        lines = list(parsed.lines)
        if constraint:
            self.constraints += lines
        for include in parsed.includes:
            lines += self.read(_place(include, file), constraint=constraint or include.constraint)
        return [] if constraint else lines

    def _take_options(self, options: FileOptions, file: Path) -> None:
        SECRETS.learn(filter(None, (options.index_url, *options.extra_index_urls, *options.find_links)))
        links = tuple(_find_links(link, file) for link in options.find_links)
        self.options = self.options.joined(replace(options, find_links=links))


def _bytes_of(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", hint="Name a requirement file that is there."
        ) from error


def _decode(content: bytes, file: Path) -> str:
    mark, encoding = next(((mark, name) for mark, name in _BOMS if content.startswith(mark)), (b"", ""))
    if not encoding:
        named = next(
            (found[1] for line in content.split(b"\n")[:2] if line[:1] == b"#" and (found := _CODING.search(line))),
            b"utf-8",
        )
        encoding = named.decode("ascii")
    try:
        return content[len(mark) :].decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise UsageError(f"{_name(file)} is not a text in {encoding.upper()}.", hint="Save it as UTF-8.") from error


def _place(include: Include, file: Path) -> Path:
    if split_url(include.name).scheme in {"http", "https"}:
        raise UsageError(
            f"{include.where} includes {mask(include.name)}: only files are read.",
            hint="Download it and include the file.",
        )
    name = unquote(split_url(include.name).path) if include.name.startswith("file:") else include.name
    return Path(name) if file == STDIN else file.parent / name


def _find_links(link: str, file: Path) -> str:
    """Make a folder absolute: beside the file where it is there, else from the working directory, as pip does."""
    if split_url(link).scheme in {"http", "https", "file"}:
        return link
    beside = (file.parent / link).absolute()
    return str(beside if file != STDIN and beside.exists() else Path(link).absolute())


def _with_absolute_file(line: RequirementLine) -> str:
    """Return the requirement with the file that it names made absolute from the working directory, as pip has it."""
    requirement = Requirement(line.text)
    parts = split_url(requirement.url or "")
    if parts.scheme != "file":
        return line.text
    path = Path(unquote(parts.path)).absolute()
    if not path.is_file():
        raise UsageError(
            f"{line.where}: {path} is not a file, or not there.",
            hint=f"Name a wheel that is there, or a version: `{requirement.name}==VERSION`.",
        )
    requirement.url = path.as_uri() + (f"#{parts.fragment}" if parts.fragment else "")
    return str(requirement)


def _name(file: Path) -> str:
    return "standard input" if file == STDIN else str(file)
