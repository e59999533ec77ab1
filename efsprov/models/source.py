"""Where a model's files come from: this machine, or whatever else can bring them here."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from efsprov.core.errors import ModelError, UsageError
from efsprov.core.filelist import is_inside, unfit_for_a_root
from efsprov.store.fs.errors import translate_os_errors

Progress = Callable[[int, int], None]
"""Is told bytes done and bytes in all."""

_NOT_A_MODEL: Final = frozenset({".git", ".DS_Store", "__pycache__", ".ipynb_checkpoints", ".cache"})


class Fetched(Protocol):
    """``origin`` is for the manifest; ``is_file`` tells that one file was named, and no folder."""

    @property
    def origin(self) -> Mapping[str, str]:
        """What to remember of where it came from."""
        ...

    @property
    def is_file(self) -> bool:
        """Whether it is one file, which `--sha256` then pins."""
        ...


@dataclass(frozen=True)
class Gathered:
    """What ``LocalSource`` fetched; see ``Fetched``."""

    origin: Mapping[str, str]
    is_file: bool


class Source(Protocol):
    """What can bring a model's files here. ``resumable`` if ``fetch`` goes on with what it finds from an earlier try."""

    @property
    def uri(self) -> str:
        """How people name it."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether it is worth keeping the folder of a try that was broken off."""
        ...

    def fetch(self, into: Path, *, notes: Path, share: bool, progress: Progress) -> Fetched:
        """Put the files into the folder ``into``; with ``share`` they may be hard links to files of others.

        ``notes`` is a folder for what is to be remembered between two tries.
        Raises an ``EfsprovError``: what is named is not there, not sound, or changed meanwhile.
        """
        ...


@dataclass(frozen=True)
class LocalSource:
    """A file or a folder of this machine. Links in a folder are followed."""

    path: Path

    @property
    def uri(self) -> str:
        """Its absolute path."""
        return str(self.path.absolute())

    @property
    def resumable(self) -> bool:
        """It is here already."""
        return False

    def fetch(self, into: Path, *, notes: Path, share: bool, progress: Progress) -> Fetched:
        """See ``Source``."""
        del notes
        path = self.path
        if not path.exists():
            raise UsageError(
                f"There is no file or folder {path}.", hint="Name a file, a folder, an archive, or s3://BUCKET/KEY."
            )
        with translate_os_errors("Reading the model", path):
            if path.is_dir():
                files = [(name, path / name) for name in _files_below(path)]
            elif path.is_file():
                files = [(path.name, path)]
            else:
                raise ModelError(
                    f"{path} is neither a file nor a folder.", hint="Name the file or folder of the model."
                )
            _gather(files, into, share=share, progress=progress)
            return Gathered({"uri": self.uri}, path.is_file())


def _gather(files: list[tuple[str, Path]], into: Path, *, share: bool, progress: Progress) -> None:
    """Link or copy files into a folder that is theirs alone."""
    total, done = sum(source.stat().st_size for _, source in files), 0
    for name, source in files:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (share and _linked(source, target)):
            shutil.copyfile(source, target)
        done += target.stat().st_size
        progress(done, total)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, a file of somebody else's, or no links at all
        return False
    return True


def _files_below(top: Path) -> Iterator[str]:
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        folder, above = pending.pop()
        status = (top / folder).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise ModelError(
                f"{top / folder} is a link to a folder above it.", hint="Remove the link, then push again."
            )
        for entry in sorted(os.scandir(top / folder), key=lambda e: e.name):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name in _NOT_A_MODEL:
                continue
            if reason := unfit_for_a_root(name):
                raise ModelError(
                    f"{top / name[:80]}: {reason}.", hint="Nothing was published. Push a folder that is flatter."
                )
            _check_entry(top, name)
            if entry.is_dir():
                pending.append((name, above | {identity}))
            else:
                yield name


def _check_entry(top: Path, name: str) -> None:
    try:
        mode = (top / name).stat().st_mode
    except FileNotFoundError:
        raise ModelError(
            f"{top / name} is a link to {(top / name).readlink()}, which does not exist.",
            hint="Mend or remove the link, then push again.",
        ) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or not is_inside(name):
        raise ModelError(f"{top / name} is neither a file nor a folder.", hint="Remove it, then push again.")
