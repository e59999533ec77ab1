"""A folder of this machine as a place of bundles: an OCI image layout, as skopeo's and umoci's `oci:FOLDER`.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from efsprov.bundle.blobs import Kept, damaged
from efsprov.bundle.documents import LAYOUT, MOST_BYTES
from efsprov.core.errors import IntegrityError, NotFoundError
from efsprov.store.fs.atomic import write_atomically
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.fileops import FileOps

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True)
class FolderPlace:
    """The layout in ``path``; it is made when the first bundle is pushed. See ``Place``."""

    path: Path

    @property
    def name(self) -> str:
        """See ``Place``."""
        return f"oci:{self.path}"

    def has(self, digest: str, size: int) -> bool:
        """See ``Place``."""
        path = self._blob(digest)
        with translate_os_errors("Looking for a blob", path):
            try:
                return path.stat(follow_symlinks=False).st_size == size
            except (FileNotFoundError, NotADirectoryError):
                return False

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """See ``Place``."""
        path = self._blob(digest)
        with translate_os_errors("Reading a blob", path):
            try:
                fd = os.open(path, _READ)
            except FileNotFoundError:
                raise NotFoundError(
                    f"{self.name} has no blob {digest}.", hint="The bundle is not whole: push the release again."
                ) from None
            try:
                found = b""
                while len(found) < size and (more := os.pread(fd, size - len(found), offset + len(found))):
                    found += more
            finally:
                os.close(fd)
        return found

    def put(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        """See ``Place``."""
        path = self._blob(digest)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        with translate_os_errors("Writing a blob", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                hashed = hashlib.sha256()
                with beside.open("xb") as file:
                    for chunk in chunks:
                        hashed.update(chunk)
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                whole = f"sha256:{hashed.hexdigest()}" == digest and beside.stat().st_size == size
                if whole:
                    beside.rename(path)
            finally:
                with suppress(OSError):
                    beside.unlink()
        if not whole:
            raise damaged(self.name, digest)

    def read_index(self) -> Kept:
        """See ``Place``."""
        path = self.path / "index.json"
        with translate_os_errors("Reading the index", path):
            try:
                fd = os.open(path, _READ)
            except (FileNotFoundError, NotADirectoryError):
                return Kept(None)
            with os.fdopen(fd, "rb") as file:
                content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise IntegrityError(f"{path} is larger than an index can be.", hint="Something else lies there.")
        return Kept(content, hashlib.sha256(content).hexdigest())

    def replace_index(self, content: bytes, since: Kept) -> bool:
        """See ``Place``."""
        with translate_os_errors("Writing the index", self.path), self._held():
            if self.read_index() != since:
                return False
            for name, text in (("oci-layout", LAYOUT), ("index.json", content)):
                write_atomically(FileOps(), self.path / name, text, uuid4().hex)
            return True

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # flock(2) takes a folder; it ends with its holder
            yield
        finally:
            os.close(fd)

    def _blob(self, digest: str) -> Path:
        kind, _, name = digest.partition(":")
        return self.path / "blobs" / kind / name
