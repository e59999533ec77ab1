"""`current`, the projection of the journal's last activation: what readers follow, and how it is put right."""

import os

from efsprov.core.errors import IntegrityError
from efsprov.core.history import last_activated
from efsprov.core.release_id import is_release_id
from efsprov.store.fs.atomic import discard
from efsprov.store.fs.errors import root_error, translate_os_errors
from efsprov.store.fs.lookup import is_directory, link_text, lstat, open_directory
from efsprov.store.journal import read_entries, sync_journal
from efsprov.store.layout import Channel, make_directory

TEMPORARY = ".current."
_ATTEMPTS = 16


def read_current(channel: Channel) -> str | None:
    """Return the release id that `current` names, None where there is no such link.

    Raises ``IntegrityError`` when it is not a link, points outside, or at something that is not there, and as
    ``Channel.refuse_links`` does.
    """
    channel.refuse_links()
    with translate_os_errors("Reading `current`", channel.current):
        text = link_text(channel.current)
        if text is None:
            return None
        if not text:
            raise _broken(channel, "it is not a symbolic link")
        release = text.removeprefix("releases/")
        if text == release or not is_release_id(release):
            raise _broken(channel, f"it points to {text!r}, which is not a release of the channel")
        if not is_directory(channel.release_path(release)):
            raise _broken(channel, f"release {release}, which it names, is not there")
    return release


def project(channel: Channel) -> bool:
    """Make `current` name the journal's last activation; tell whether it had to be changed.

    Repeats until the two agree: another writer may activate meanwhile, and a publisher that was cut off may still
    swap the link late (measured: after its lease had ended, its rename went through). Raises ``IntegrityError`` rather
    than point readers at a release that is not there.
    """
    for attempt in range(_ATTEMPTS):
        wanted = last_activated(read_entries(channel))
        with translate_os_errors("Reading `current`", channel.current):
            if wanted is None:
                return False
            if not is_directory(channel.release_path(wanted)):
                raise IntegrityError(
                    f"Release {wanted} of {channel.label} is current by the journal, but it is not there.",
                    hint="Go to another release: `efsprov rollback`, or `efsprov rollback --to ID`.",
                )
            if link_text(channel.current) == f"releases/{wanted}":
                with open_directory(channel.path) as fd:
                    channel.ops.fsync(fd)  # also where a writer swapped it that died before this
                return attempt > 0
        sync_journal(channel)  # what readers follow must never be ahead of it, not even after a power loss
        _swap(channel, f"releases/{wanted}")
    raise _broken(channel, "other writers keep changing it")


def _swap(channel: Channel, text: str) -> None:
    """Replace the link in one step. On NFS a call that failed may have happened: what lies there is what counts."""
    ops, temporary = channel.ops, channel.path / f"{TEMPORARY}{channel.writer.new_tx()}"
    try:
        try:
            ops.symlink(text, str(temporary))
        except OSError:
            if link_text(temporary) != text:
                raise
        try:
            if is_directory(channel.current):
                _move_away(channel)
            ops.rename(str(temporary), str(channel.current))
        except OSError:
            if lstat(temporary) is not None:
                raise
            # It is gone, so the rename happened (and somebody may have swapped since), or a clean-up took it away:
            # `project` looks again either way.
    except BaseException as error:
        discard(ops, temporary)
        if isinstance(error, OSError):
            raise root_error(error, "Swapping `current`", channel.current) from error
        raise


def _move_away(channel: Channel) -> None:
    """Move a folder that is in the place of `current` to the trash: no rename replaces a folder by a link (rename(2)).

    Until the link is there readers find nothing; in the folder they found nothing either. Another writer may have put
    the link there by now: then that goes, and `project` looks again.
    """
    away = channel.trash / f"current.{channel.writer.new_tx()}"
    make_directory(channel.ops, channel.trash)
    try:
        channel.ops.rename(str(channel.current), str(away))
    except OSError:
        if lstat(away) is None and lstat(channel.current) is not None:
            raise


def _broken(channel: Channel, why: str) -> IntegrityError:
    return IntegrityError(
        f"{channel.current} is broken: {why}.",
        hint="`efsprov verify --repair` points it at the journal's last activation.",
    )


def temporary_links(channel: Channel) -> list[str]:
    """Return the names that writers left in the channel's folder who died between making the new link and renaming it."""
    return sorted(name for name in os.listdir(channel.path) if name.startswith(TEMPORARY))
