"""The root and its folders: where everything lies, and whether this efsprov may touch it."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from efsprov.core.channel_name import check_channel_name, is_channel_name
from efsprov.core.errors import IntegrityError, NotFoundError, RootError, UsageError
from efsprov.core.history import Entry
from efsprov.core.release_id import is_release_id
from efsprov.store.fs.atomic import write_atomically
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.lookup import is_directory, read_regular
from efsprov.store.writer import Writer

FORMAT: Final = 1
FORMAT_FILE: Final = "efsprov.json"
Kind = Literal["deps", "model"]
_FOLDERS: dict[Kind, str] = {"deps": "deps", "model": "models"}
_PAYLOADS: dict[Kind, str] = {"deps": "site", "model": "files"}


@dataclass(frozen=True)
class Root:
    """A directory that holds, or will hold, channels. ``path`` is absolute; it need not exist yet."""

    path: Path

    @classmethod
    def open(cls, path: Path, *, writing: bool = False) -> "Root":
        """Look at ``path`` and refuse, with ``RootError``, what cannot be a root; changes nothing.

        When ``writing``, a root that does not exist yet is fine as long as its parent does.
        """
        with translate_os_errors("Looking for the root", path):
            absolute = Path(os.path.abspath(path))
            if os.path.realpath(absolute) == "/":
                raise RootError("The root must not be '/'.", hint="Name the mounted file system: --root /mnt/efs.")
            if not absolute.is_dir():
                _refuse_no_directory(absolute, writing=writing)
                return cls(absolute)
            if writing and not os.access(absolute, os.W_OK | os.X_OK):
                read_only = os.statvfs(absolute).f_flag & os.ST_RDONLY
                raise RootError(
                    f"The root {absolute} {'is mounted read-only' if read_only else 'cannot be written to'}.",
                    hint="Mount it read-write, or run as a user who may write there "
                    "(on EFS: the access point's uid and ClientWrite in the policy).",
                )
            _check_format(absolute / FORMAT_FILE)
        return cls(absolute)

    def channel(self, name: str, target: str = "", *, kind: Kind = "deps", writer: Writer | None = None) -> "Channel":
        """Return the channel ``name`` for ``target`` (models have none), whether it exists or not."""
        check_channel_name(name, what="channel" if kind == "deps" else "model")
        if target.startswith(".") or "/" in target or "\0" in target:
            raise UsageError(f"{target!r} is not a target.", hint="A target looks like python3.11-x86_64.")
        folder = self.path / _FOLDERS[kind] / name
        return Channel(self, folder / target if target else folder, name, target, kind, writer or Writer())

    def channels(self, *, kind: Kind = "deps", writer: Writer | None = None) -> tuple["Channel", ...]:
        """Return the channels that exist, by name and target.

        Links among them are passed over, see ``links``; raises ``IntegrityError`` where all of them lie behind one.
        """
        top = self.path / _FOLDERS[kind]
        with translate_os_errors("Listing the channels", self.path):
            _refuse_links([top] if top.is_symlink() else [])
            names = [name for name in _folders(top) if is_channel_name(name)]
            pairs = [(n, t) for n in names for t in ([""] if kind == "model" else _folders(top / n))]
        found = (self.channel(name, target, kind=kind, writer=writer) for name, target in pairs)
        return tuple(c for c in found if c.exists)

    def links(self, *, kind: Kind = "deps") -> tuple[Path, ...]:
        """Return the links that lie where folders of channels belong: efsprov makes none there and follows none."""
        top = self.path / _FOLDERS[kind]
        with translate_os_errors("Looking for links", self.path):
            if top.is_symlink():
                return (top,)
            named = [top / name for name in _links(top)]
            inner = [top / name / link for name in _folders(top) for link in _links(top / name)]
        return (*named, *(inner if kind == "deps" else ()))


@dataclass(frozen=True)
class Channel:
    """The folders of one channel; what happens in them is in ``journal``, ``current``, ``publish`` and ``verify``."""

    root: Root
    path: Path
    name: str
    target: str
    kind: Kind
    writer: Writer = field(repr=False, compare=False)
    read: dict[int, Entry] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Journal entries that were read already: they never change, and each costs a round trip."""

    @property
    def ops(self) -> FileOps:
        return self.writer.ops

    @property
    def label(self) -> str:
        """How messages name the channel: `tensorflow (python3.11-x86_64)`."""
        return f"{self.name} ({self.target})" if self.target else f"model {self.name}"

    @property
    def exists(self) -> bool:
        """Whether anything was ever published: a killed first sync leaves folders, but no journal entry.

        Also where a link is in the place of a folder of it: whoever uses it is then told.
        """
        with translate_os_errors("Looking for the channel", self.journal):
            if self.links():
                return True
            try:
                with os.scandir(self.journal) as entries:
                    return any(True for _ in entries)
            except FileNotFoundError:
                return False

    @property
    def payload(self) -> str:
        """The folder of a release that users see: `site` for dependencies, `files` for models."""
        return _PAYLOADS[self.kind]

    @property
    def current(self) -> Path:
        return self.path / "current"

    @property
    def releases(self) -> Path:
        return self.path / "releases"

    @property
    def staging(self) -> Path:
        return self.path / "staging"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def trash(self) -> Path:
        return self.path / "trash"

    def release_path(self, release: str) -> Path:
        return self.releases / release

    def release_ids(self) -> tuple[str, ...]:
        """Return the ids of the release folders that lie there, oldest first."""
        with translate_os_errors("Listing the releases", self.releases):
            return tuple(sorted(name for name in _folders(self.releases) if is_release_id(name)))

    def links(self) -> tuple[Path, ...]:
        """Return which of the channel's folders, and of those above it in the root, are links.

        The root itself may be one. efsprov makes no links to folders but `current`; behind any other lie files that
        are not the root's, which a clean-up would remove.
        """
        inside = self.path.relative_to(self.root.path)
        above = [self.root.path / part for part in (*reversed(inside.parents), inside)][1:]
        folders = (*above, self.releases, self.staging, self.journal, self.trash)
        return tuple(folder for folder in folders if folder.is_symlink())

    def refuse_links(self) -> None:
        """Raise ``IntegrityError`` where ``links`` finds any."""
        with translate_os_errors("Looking for links", self.path):
            _refuse_links(self.links())

    def require(self) -> None:
        """Raise ``NotFoundError``, naming the channels that exist, when this one does not.

        Raises ``IntegrityError`` where a link is in the place of one of its folders.
        """
        self.refuse_links()
        if self.exists:
            return
        others = [c.label for c in self.root.channels(kind=self.kind)]
        raise NotFoundError(
            f"There is no channel {self.label} in {self.root.path}.",
            hint=f"There is: {', '.join(others)}." if others else "The root holds none yet: `efsprov sync` makes one.",
        )

    def make_folders(self, made: "Made") -> None:
        """Make the folders that are missing, noting them in ``made``; raises ``OSError``, or as ``refuse_links`` does."""
        self.refuse_links()
        ops, format_file = self.ops, self.root.path / FORMAT_FILE
        inside = self.path.relative_to(self.root.path)
        if make_directory(ops, self.root.path):
            made.undo.append((ops.rmdir, self.root.path))
        if not format_file.exists():
            write_atomically(ops, format_file, json.dumps({"format": FORMAT}).encode() + b"\n", self.writer.new_tx())
            made.undo.append((ops.unlink, format_file))
        above = [self.root.path / part for part in (*reversed(inside.parents), inside)]
        for folder in [*above, self.releases, self.staging, self.journal, self.trash]:
            if make_directory(ops, folder):
                made.undo.append((ops.rmdir, folder))


@dataclass(frozen=True)
class Made:
    """What a run added to the root's skeleton: how to take each piece away, in the order in which it was made."""

    undo: list[tuple[Callable[[str], None], Path]] = field(default_factory=list)

    def take_away(self, *, below: Path | None = None) -> None:
        """Remove it all (or what lies directly in ``below``), last first, up to the first piece that is in use."""
        while self.undo and below in {None, self.undo[-1][1].parent}:
            remove, path = self.undo.pop()
            try:
                remove(str(path))
            except FileNotFoundError:
                continue
            except OSError:
                self.undo.clear()  # not empty: somebody else uses it, and so everything above it


def make_directory(ops: FileOps, path: Path) -> bool:
    """Make one directory; False where it is there already.

    On NFS a mkdir that reports EEXIST may be the one that made it (measured), so that counts as made.
    """
    if path.is_dir():
        return False
    try:
        ops.mkdir(str(path))
    except OSError:
        if not is_directory(path):
            raise
    return True


def _refuse_no_directory(path: Path, *, writing: bool) -> None:
    if path.is_symlink() and not path.exists():
        raise RootError(
            f"The root {path} is a link to {os.readlink(path)}, which does not exist.",
            hint="Mend the link, or name the mounted file system with --root.",
        )
    if path.exists():
        raise RootError(f"The root {path} is not a directory.", hint="Name a directory with --root.")
    if not writing or not path.parent.is_dir():
        raise RootError(
            f"The root {path} does not exist.",
            hint="Is the file system mounted? `efsprov sync --root DIR` makes DIR itself, not the folders above it.",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RootError(
            f"The root {path} cannot be made: {path.parent} cannot be written to.", hint="Name another root."
        )


def _check_format(file: Path) -> None:
    try:
        text = read_regular(file)
    except FileNotFoundError:
        return
    try:
        found = json.loads(text)["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(
            f"{file} is damaged: {text[:60]!r}.",
            hint=f'Nothing was changed. It should read {{"format": {FORMAT}}}; restore it if this is an efsprov root.',
        ) from error
    if found != FORMAT:
        raise RootError(
            f"The root {file.parent} is of format {found}; this efsprov knows format {FORMAT}.",
            hint="A newer efsprov wrote it: upgrade this one.",
        )


def _refuse_links(links: Sequence[Path]) -> None:
    if links:
        raise IntegrityError(
            f"{links[0]} is a link to {os.readlink(links[0])}, and efsprov follows no links in the place of its folders.",
            hint="Nothing was changed. Find out who made it; `rm` removes the link alone, and the next sync makes the folder.",
        )


def _links(path: Path) -> list[str]:
    try:
        return sorted(e.name for e in os.scandir(path) if e.is_symlink())
    except FileNotFoundError:
        return []


def _folders(path: Path) -> list[str]:
    try:
        return sorted(e.name for e in os.scandir(path) if e.is_dir(follow_symlinks=False) and e.name[0] != ".")
    except FileNotFoundError:
        return []
