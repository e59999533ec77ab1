"""Keeps bytecode from one release to the next: no source is compiled twice for one interpreter.

What bytecode is follows from the bytes of the source, its name in the tree (code objects carry it) and the interpreter.
A file here is named by SHA-256 of the first two and by its own, `KEY-SHA256`, in a folder of the interpreter's. It is
given out as a hard link, so that a release on the same disk may share it: what lies here is hashed each time that it is
used, and what is not what its name says is thrown away and compiled again.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

_BATCH: Final = 128
_THREADS: Final = 4
_SHELF: Final = 2  # characters of a key that name a folder
# No links between these two places, or no more of this file: then it is compiled, as if it were not here.
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


class BytecodeCache:
    """Bytecode for one interpreter, in ``folder``; ``tag`` is its ``sys.implementation.cache_tag``."""

    def __init__(self, folder: Path, tag: str) -> None:
        self._folder = str(folder)
        self._tag = tag

    def bytecode_path(self, source: str) -> str:
        """Return where the interpreter looks for the bytecode of ``source``, a path in a tree (PEP 3147)."""
        folder, _, name = source.rpartition("/")
        return f"{folder}{'/' if folder else ''}__pycache__/{name.removesuffix('.py')}.{self._tag}.pyc"

    def give(self, site: Path, sources: Mapping[str, str]) -> dict[str, str]:
        """Link into ``site`` what is here for ``sources``, paths with their SHA-256; return SHA-256 by bytecode path."""
        wanted = {_key(path, sha256): path for path, sha256 in sources.items()}
        here: dict[str, str] = {}
        for shelf in {key[:_SHELF] for key in wanted}:
            with suppress(FileNotFoundError):
                names = os.listdir(f"{self._folder}/{shelf}")  # noqa: PTH208 - thousands of names
                here.update((wanted[name[:64]], name) for name in names if name[:64] in wanted)

        def give_some(some: list[tuple[str, str]]) -> list[tuple[str, str]]:
            paths = [(self.bytecode_path(source), name) for source, name in some]
            return [(path, name[65:]) for path, name in paths if self._give(site, name, path)]

        return _in_batches(give_some, here.items())

    def keep(self, site: Path, sources: Mapping[str, str]) -> dict[str, str]:
        """Keep the bytecode that was just compiled for ``sources``; return SHA-256 by bytecode path."""
        for shelf in {_key(path, sha256)[:_SHELF] for path, sha256 in sources.items()}:
            os.makedirs(f"{self._folder}/{shelf}", exist_ok=True)  # noqa: PTH103

        def keep_some(some: list[tuple[str, str]]) -> list[tuple[str, str]]:
            return [self._keep(site, self.bytecode_path(path), _key(path, sha256)) for path, sha256 in some]

        return _in_batches(keep_some, sources.items())

    def _give(self, site: Path, name: str, path: str) -> bool:
        kept, place = f"{self._folder}/{name[:_SHELF]}/{name}", f"{site}/{path}"
        try:
            _link(kept, place)
        except OSError as error:
            if error.errno in _NO_LINK or error.errno == errno.ENOENT:
                return False
            raise
        if _sha256(place) == name[65:]:
            return True
        os.unlink(place)  # noqa: PTH108
        with suppress(FileNotFoundError):
            os.unlink(kept)  # noqa: PTH108
        return False

    def _keep(self, site: Path, path: str, key: str) -> tuple[str, str]:
        place = f"{site}/{path}"
        sha256 = _sha256(place)
        beside = f"{self._folder}/{key[:_SHELF]}/.{uuid4().hex}"
        try:
            os.link(place, beside)
            os.rename(beside, f"{self._folder}/{key[:_SHELF]}/{key}-{sha256}")  # noqa: PTH104
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        return path, sha256


def _key(path: str, sha256: str) -> str:
    return hashlib.sha256(f"{sha256} {path}".encode("utf-8", "surrogateescape")).hexdigest()


def _link(source: str, place: str) -> None:
    """Make a hard link, over what may be there: some wheels bring bytecode."""
    try:
        os.link(source, place)
    except FileNotFoundError:
        _make_folder(os.path.dirname(place))  # noqa: PTH120
        os.link(source, place)
    except FileExistsError:
        os.unlink(place)  # noqa: PTH108
        os.link(source, place)


def _make_folder(path: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(path)  # noqa: PTH102
        os.chmod(path, 0o755)  # noqa: PTH101, S103 - a function runs as another user, whatever the umask here is


def _sha256(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        digest = hashlib.sha256()
        while piece := os.read(fd, 1 << 20):
            digest.update(piece)
        return digest.hexdigest()
    finally:
        os.close(fd)


def _in_batches(
    work: Callable[[list[tuple[str, str]]], list[tuple[str, str]]], items: Iterable[tuple[str, str]]
) -> dict[str, str]:
    everything = list(items)
    batches = [everything[at : at + _BATCH] for at in range(0, len(everything), _BATCH)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return {path: sha256 for batch in pool.map(work, batches) for path, sha256 in batch}
