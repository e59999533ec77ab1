"""From a source to a model's release: fetched, looked at, held against pins and policy, published."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from efsprov.core import filelist
from efsprov.core.channel_name import check_channel_name
from efsprov.core.errors import EfsprovError, FetchError, UsageError
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.wording import pluralize
from efsprov.models.archives import is_archive, unpack
from efsprov.models.formats.detect import inspect_model
from efsprov.models.formats.inspection import RiskKind
from efsprov.models.manifest import ModelFacts
from efsprov.models.policy import require_trust
from efsprov.models.publish import ModelDraft, Published, publish_model
from efsprov.models.source import Fetched, Source
from efsprov.pipeline.stage.tree import list_tree
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import cache_folder, scratch_folder
from efsprov.store.layout import Channel

_MOST_META = 64


@dataclass(frozen=True)
class Provision:
    """What a push is to do. ``sha256`` pins the source, ``meta`` are the user's own remarks, ``made_for`` a channel.

    ``origin`` is remembered besides what the source says of itself. For ``superseded_by`` see ``ModelDraft``.
    """

    sha256: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    made_for: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)
    superseded_by: Callable[[Channel, State], str | None] = ModelDraft.superseded_by
    trusted: frozenset[RiskKind] = frozenset()
    activate: bool = True
    wait: bool = True
    again: bool = False


def provision(channel: Channel, source: Source, wanted: Provision, steps: ProgressReporter) -> Published:
    """Make a release of model ``channel`` out of ``source``; one that holds the same already is used again.

    Raises an ``EfsprovError``; then the root is as it was. What a resumable source brought stays for the next try.
    """
    _check_request(wanted)
    with _workplace(source) as place:
        tree, share = place / "tree", not _same_device(place, channel)
        files = tree / channel.payload
        files.mkdir(parents=True, exist_ok=True)
        with steps.step("fetch" if source.resumable else "collect", source.uri) as step:
            fetched = source.fetch(files, notes=place, share=share, progress=step.bytes)
        with steps.step("check") as step:
            entries = list_tree(files, {})
            sha256 = _check_pin(source, fetched, entries, wanted.sha256)
            named = files / entries[0].path if fetched.is_file else files
            if fetched.is_file and is_archive(named):
                tree = place / "unpacked"
                with _called(source.uri, named):
                    files, entries = _unpack(named, tree / channel.payload)
                named = files
            with _called(source.uri, named):
                inspection = inspect_model(files, [entry.path for entry in entries])
            trusted = require_trust(channel.name, inspection, wanted.trusted)
            step.outcome = f"{inspection.format}, {pluralize(len(entries), 'file')}"
        if not share:
            _let_all_read(tree)
        facts = ModelFacts(
            format=inspection.format,
            entry=inspection.entry,
            sha256=sha256,
            origin={**fetched.origin, **wanted.origin},
            trusted=trusted,
            made_for=wanted.made_for,
        )
        draft = ModelDraft(facts, wanted.meta, (source.uri,), wanted.superseded_by)
        return publish_model(
            channel, tree, entries, draft, steps, activate=wanted.activate, wait=wanted.wait, again=wanted.again
        )


def content_digest(entries: tuple[FileEntry, ...]) -> str:
    """Return the SHA-256 of a folder's file list: names, sizes, modes and contents of all that is in it."""
    return filelist.digest(filelist.dump(entries))


def _check_request(wanted: Provision) -> None:
    if wanted.sha256 is not None and (len(wanted.sha256) != 64 or set(wanted.sha256) - set("0123456789abcdef")):
        raise UsageError("--sha256 takes 64 hexadecimal digits.", hint="`sha256sum FILE` prints them.")
    if wanted.made_for:
        check_channel_name(wanted.made_for)
    if len(wanted.meta) > _MOST_META or any(
        not key or len(key) > 64 or len(text) > 1000 for key, text in wanted.meta.items()
    ):
        raise UsageError(
            f"Metadata has at most {_MOST_META} entries, with keys of 1 to 64 and values of up to 1000 characters.",
            hint="What is longer belongs into a file of the model.",
        )


def _unpack(archive: Path, into: Path) -> tuple[Path, tuple[FileEntry, ...]]:
    shutil.rmtree(into, ignore_errors=True)  # of an earlier try
    into.mkdir(parents=True)
    unpack(archive, into)
    return into, list_tree(into, {})


def _check_pin(source: Source, fetched: Fetched, entries: tuple[FileEntry, ...], pinned: str | None) -> str:
    found = entries[0].sha256 if fetched.is_file else content_digest(entries)
    if pinned is not None and found != pinned:
        what = "file" if fetched.is_file else "folder (of its file list)"
        raise FetchError(
            f"{source.uri} is not what --sha256 pins: the SHA-256 of this {what} is {found}.",
            hint="Nothing was published. Find out which of the two is right before you change the pin.",
        )
    return found


@contextmanager
def _called(uri: str, path: Path) -> Iterator[None]:
    """Let errors name what the user named, and not where it was brought to."""
    try:
        yield
    except EfsprovError as error:
        error.message = error.message.replace(str(path), uri.rstrip("/"))
        raise


def _same_device(place: Path, channel: Channel) -> bool:
    """Tell whether files are moved into the root rather than copied: then they must be nobody else's."""
    folder = channel.root.path
    while not folder.exists():
        folder = folder.parent
    return place.stat().st_dev == folder.stat().st_dev


def _let_all_read(tree: Path) -> None:
    """Give what will be moved into the root the modes that a copy has: a function runs as another user."""
    for folder, _, names in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in names:
            Path(folder, name).chmod(0o644)


@contextmanager
def _workplace(source: Source) -> Iterator[Path]:
    """Yield a folder to work in. For a resumable source it stays when the block fails, and it is the same next time."""
    if not source.resumable:
        with scratch_folder() as folder:
            yield folder
        return
    kept = cache_folder() / "fetched" / hashlib.sha256(source.uri.encode()).hexdigest()[:16]
    kept.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody else fetches it right now: fetch it beside them
            with scratch_folder() as folder:
                yield folder
            return
        kept.mkdir(exist_ok=True)
        yield kept
        shutil.rmtree(kept, ignore_errors=True)
