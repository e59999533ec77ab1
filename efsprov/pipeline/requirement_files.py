"""Reads requirement files from disk, with the files that they include."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from efsprov.core.errors import UsageError
from efsprov.core.requirements import check_requirement, parse_requirement_file, requirement_name


@dataclass(frozen=True)
class Requirements:
    """What was asked for: ``direct`` on the command line, in ``files``; ``texts`` has the requirements of both."""

    direct: tuple[str, ...]
    files: tuple[Path, ...]
    texts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The normalised names of the distributions that were asked for, each once, in their order."""
        return tuple(dict.fromkeys(requirement_name(text) for text in self.texts))


def read_requirements(direct: Iterable[str], files: Iterable[Path]) -> Requirements:
    """Check and collect requirements; raises ``UsageError`` for the first that is none, with its file and line."""
    direct, files = tuple(check_requirement(text) for text in direct), tuple(files)
    texts = list(direct)
    seen: set[Path] = set()
    for file in files:
        _read(file, texts, seen)
    if not texts:
        empty = ", ".join(map(str, files))
        raise UsageError(
            f"{empty} holds no requirement." if files else "Nothing was asked for.",
            hint="Name a framework, --framework tensorflow==2.15, or a requirement file, -r requirements.txt.",
        )
    return Requirements(direct, files, tuple(dict.fromkeys(texts)))


def _read(file: Path, texts: list[str], seen: set[Path]) -> None:
    if file.resolve() in seen:
        return
    seen.add(file.resolve())
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not a text in UTF-8.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", hint="Name a requirement file that is there."
        ) from error
    parsed = parse_requirement_file(text, where=str(file))
    texts += parsed.requirements
    for name in parsed.includes:
        if urlsplit(name).scheme in {"http", "https"}:
            raise UsageError(f"{file} includes {name}: only files are read.", hint="Download it and include the file.")
        _read(file.parent / name, texts, seen)
