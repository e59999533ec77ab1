"""Reads the text of a requirement file by pip's rules; every option of the format is understood, or refused by name.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

import optparse
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from efsprov.core.errors import UsageError
from efsprov.core.masking import mask
from efsprov.core.requirements import HINT, requirement_name
from efsprov.core.urls import split_url
from efsprov.core.written_hashes import allowed_hashes, url_hash

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_VCS = re.compile(r"(?:^|@\s*)(?:git|hg|svn|bzr)(?:\+[a-z]+)?(?:://|@)")
_CONDA = re.compile(r"/(?:croot|feedstock_root|conda-bld|build_artifacts)/|/home/conda/|^/tmp/build/")
# pip has these, and nothing that efsprov does could honour them; each is refused with the reason.
_REFUSED: Final = {
    "--no-binary": "efsprov installs wheels; build the package's wheel first and name it with `NAME @ file:///...`",
    "--use-feature": "it switches on a feature of pip, and pip does not read this file",
    "--global-option": "it is for building from sources",
    "--config-settings": "it is for building from sources",
}


@dataclass(frozen=True)
class RequirementLine:
    """One requirement, without its hashes; ``where`` is "FILE, line N", ``hashes`` the SHA-256 in hex that may be.

    ``written_hash``: a `--hash` stands behind it. The hash of a URL does not require hashes of other lines.
    """

    text: str
    where: str
    hashes: tuple[str, ...] = ()
    written_hash: bool = False

    @property
    def name(self) -> str:
        """The distribution's normalised name."""
        return requirement_name(self.text)


@dataclass(frozen=True)
class Include:
    """Another file that a file names; ``constraint`` when it only limits versions."""

    name: str
    where: str
    constraint: bool


@dataclass(frozen=True)
class FileOptions:
    """What the options of a file say about all of it; see pip's reference for each."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    no_index: bool = False
    pre: bool = False
    prefer_binary: bool = False
    require_hashes: bool = False

    def joined(self, later: "FileOptions") -> "FileOptions":
        """Return both: lists add up, the last index counts, and what is switched on stays on."""
        return FileOptions(
            index_url=later.index_url or self.index_url,
            extra_index_urls=self.extra_index_urls + later.extra_index_urls,
            find_links=self.find_links + later.find_links,
            trusted_hosts=self.trusted_hosts + later.trusted_hosts,
            only_binary=self.only_binary + later.only_binary,
            no_index=self.no_index or later.no_index,
            pre=self.pre or later.pre,
            prefer_binary=self.prefer_binary or later.prefer_binary,
            require_hashes=self.require_hashes or later.require_hashes,
        )


@dataclass(frozen=True)
class RequirementFile:
    """What one file says. Names in ``includes`` and ``options.find_links`` are as written, relative to the file."""

    lines: tuple[RequirementLine, ...]
    includes: tuple[Include, ...]
    options: FileOptions = FileOptions()


def parse_requirement_file(text: str, *, where: str, environ: Mapping[str, str]) -> RequirementFile:
    """Read ``text``; raises ``UsageError`` with ``where`` and the line that is at fault.

    ``${NAME}`` stands for a variable of ``environ``; where there is no such variable it stays as it is.
    """
    lines: list[RequirementLine] = []
    includes: list[Include] = []
    options = FileOptions()
    for number, raw in _logical_lines(text):
        place = f"{where}, line {number}"
        line = _VARIABLE.sub(lambda found: environ.get(found[1]) or found[0], raw)
        written, words = _split_options(line, place)
        given = _read_options(words, place)
        if written:
            lines.append(_requirement(written, given, place))
            continue
        if given.editables:
            _refuse_source(given.editables[0], place)
        includes += [Include(name, place, constraint=False) for name in given.requirements]
        includes += [Include(name, place, constraint=True) for name in given.constraints]
        options = options.joined(_file_options(given))
    return RequirementFile(tuple(lines), tuple(includes), options)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Join continued lines and drop comments, in pip's order; each line with the number of its first."""
    start, parts = 0, ""
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        comment = _COMMENT.match(raw) is not None
        if raw.endswith("\\") and not comment:
            start, parts = start or number, parts + raw.strip("\\")
            continue
        line = _COMMENT.sub("", parts + (f" {raw}" if comment else raw)).strip()
        if line:
            yield start or number, line
        start, parts = 0, ""


def _split_options(line: str, place: str) -> tuple[str, list[str]]:
    """Split a line into the requirement and the options behind it."""
    words = line.split(" ")
    first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    try:
        return " ".join(words[:first]).strip(), shlex.split(" ".join(words[first:]))
    except ValueError as error:
        raise UsageError(
            f"{place}: {mask(line)!r} cannot be read: {error}.", hint="Close the quotation mark."
        ) from error


class _Options(optparse.OptionParser):
    """optparse is what pip reads the options with: prefixes of long options and `-rFILE` mean the same."""

    def error(self, msg: str) -> NoReturn:
        raise ValueError(msg)


def _parser() -> _Options:
    parser = _Options(add_help_option=False)
    add = parser.add_option
    for names, dest in (
        (("-r", "--requirement", "--requirements"), "requirements"),
        (("-c", "--constraint", "--constraints"), "constraints"),
        (("-e", "--editable"), "editables"),
        (("--extra-index-url",), "extra_index_urls"),
        (("-f", "--find-links"), "find_links"),
        (("--trusted-host",), "trusted_hosts"),
        (("--only-binary",), "only_binary"),
        (("--hash",), "hashes"),
        (("--no-binary",), "no_binary"),
        (("--use-feature",), "use_feature"),
        (("--global-option",), "global_option"),
        (("-C", "--config-setting", "--config-settings"), "config_settings"),
    ):
        add(*names, dest=dest, action="append", default=[])
    add("-i", "--index-url", "--pypi-url", dest="index_url")
    for name in ("--no-index", "--pre", "--prefer-binary", "--require-hashes"):
        add(name, action="store_true", default=False)
    return parser


def option_names() -> set[str]:
    """Return every option of the format, short ones too."""
    return {name for option in _parser().option_list for name in str(option).split("/")}


def _read_options(words: list[str], place: str) -> Any:
    try:
        given, rest = _parser().parse_args(words)
    except ValueError as error:
        raise UsageError(
            f"{place}: {mask(str(error))}.", hint="pip's reference lists the options of the format."
        ) from error
    if rest:
        raise UsageError(f"{place}: {mask(' '.join(rest))!r} follows an option.", hint="Put it on a line of its own.")
    for option, reason in _REFUSED.items():
        value = getattr(given, option.removeprefix("--").replace("-", "_"))
        if value and value != [":none:"]:
            raise UsageError(f"{place}: {option} is not supported: {reason}.", hint="Remove the option from the file.")
    return given


def _file_options(given: Any) -> FileOptions:
    return FileOptions(
        index_url=given.index_url,
        extra_index_urls=tuple(given.extra_index_urls),
        find_links=tuple(given.find_links),
        trusted_hosts=tuple(given.trusted_hosts),
        only_binary=tuple(name for text in given.only_binary for name in text.split(",")),
        no_index=given.no_index,
        pre=given.pre,
        prefer_binary=given.prefer_binary,
        require_hashes=given.require_hashes,
    )


def _requirement(text: str, given: Any, place: str) -> RequirementLine:
    if _VCS.search(text):
        _refuse_source(text, place)
    text = _named_wheel(text, place) or text
    if text.startswith((".", "/", "file:", "http:", "https:")):
        _refuse_source(text, place)
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = mask(str(error).splitlines()[0].rstrip("."))
        raise UsageError(f"{place}: {mask(text)!r} is not a requirement: {reason}.", hint=HINT) from error
    if requirement.url and _CONDA.search(unquote(split_url(requirement.url, place).path)):
        raise UsageError(
            f"{place}: {requirement.name} is named by a folder of the machine on which conda built it.",
            hint=f"Write its version instead: `{requirement.name}==VERSION`. "
            "`pip list --format=freeze` writes such a file for a whole environment.",
        )
    return with_url_hash(RequirementLine(text, place, allowed_hashes(given.hashes, place), bool(given.hashes)))


def _named_wheel(text: str, place: str) -> str:
    """Give a wheel that is named by its path or URL alone its project's name; empty for anything else."""
    address, semicolon, marker = text.partition(" ;")
    address = address.strip()
    filename = PurePosixPath(unquote(split_url(address, place).path)).name
    if " " in address or "@" in address.partition("://")[0] or not filename.endswith(".whl"):
        return ""
    try:
        name = parse_wheel_filename(filename)[0]
    except InvalidWheelFilename:
        return ""
    if "://" not in address and not address.startswith("file:"):
        address = f"file:{quote(address)}"
    return f"{name} @ {address}{' ;' if semicolon else ''}{marker}"


def _refuse_source(text: str, place: str) -> NoReturn:
    if _VCS.search(text):
        raise UsageError(
            f"{place}: {mask(text)!r} comes from a repository, which has no hash to hold it to.",
            hint="Build its wheel with `pip wheel --no-deps` and name that: `NAME @ file:///path/to/the.whl`.",
        )
    raise UsageError(
        f"{place}: {mask(text)!r} names a folder or a file without its project's name.",
        hint="Name a wheel: `NAME @ file:///path/to/the.whl`; a project of your own must be built first.",
    )


def with_url_hash(line: RequirementLine) -> RequirementLine:
    """Return the line with the hash of its URL among its hashes: both must hold where both are given."""
    in_url = url_hash(line.text)
    if in_url is None:
        return line
    if line.hashes and in_url not in line.hashes:
        raise UsageError(f"{line.where}: the hash of the URL is not among the hashes behind it.", hint="Remove one.")
    return replace(line, hashes=(in_url,))
