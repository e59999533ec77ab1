"""`current`, the projection of the journal's last activation: what readers follow, and how it is put right."""

import os

from efsprov.core.errors import IntegrityError
from efsprov.core.release_id import is_release_id
from efsprov.store.journal import open_directory, read_state
from efsprov.store.layout import Channel
from efsprov.store.oserrors import reported, root_error

_TEMPORARY = ".current."


def read_current(channel: Channel) -> str | None:
    """Return the release id that `current` names, None where there is no such link.

    Raises ``IntegrityError`` when it is no link, points outside, or at something that is not there.
    """
    text = _read_link(channel)
    if text is None:
        return None
    release = text.removeprefix("releases/")
    if text == release or not is_release_id(release):
        raise _broken(channel, f"it points to {text!r}, which is no release of the channel")
    if not channel.release_path(release).is_dir():
        raise _broken(channel, f"release {release}, which it names, is not there")
    return release


def project(channel: Channel) -> str | None:
    """Make `current` name the journal's last activation; return the id of the release that it replaced, if any.

    Repeats until the two agree: another writer may activate meanwhile, and a publisher that was cut off may still
    swap the link late (measured: after its lease had ended, its rename went through).
    """
    replaced = None
    for _ in range(16):
        wanted, found = read_state(channel).current, _read_link(channel)
        if wanted is None or found == f"releases/{wanted}":
            return replaced
        replaced = found.removeprefix("releases/") if found else None
        _swap(channel, f"releases/{wanted}")
    raise _broken(channel, "other writers keep changing it")


def remove_temporary_links(channel: Channel) -> None:
    """Remove what a writer left that died between making the new link and renaming it."""
    with reported("Cleaning up", channel.path):
        for name in os.listdir(channel.path):
            if name.startswith(_TEMPORARY):
                _unlink(channel, name)


def _swap(channel: Channel, text: str) -> None:
    ops, temporary = channel.ops, str(channel.path / f"{_TEMPORARY}{channel.writer.new_tx()}")
    try:
        try:
            ops.symlink(text, temporary)
        except FileExistsError:
            if os.readlink(temporary) != text:  # the name is ours alone: a lost reply, unless the text differs
                raise
        ops.rename(temporary, str(channel.current))
    except OSError as error:
        # rename(2): on NFS an operation that failed may have happened. What the link says now is what counts.
        if _read_link(channel) != text and os.path.lexists(temporary):
            _unlink(channel, os.path.basename(temporary))
            raise root_error(error, "Swapping `current`", channel.current) from error
    with reported("Swapping `current`", channel.path), open_directory(channel.path) as fd:
        ops.fsync(fd)


def _unlink(channel: Channel, name: str) -> None:
    try:
        channel.ops.unlink(str(channel.path / name))
    except FileNotFoundError:
        pass  # gone is what was wanted
    except OSError as error:
        if os.path.lexists(channel.path / name):
            raise root_error(error, "Cleaning up", channel.path / name) from error


def _read_link(channel: Channel) -> str | None:
    with reported("Reading `current`", channel.current):
        try:
            with open_directory(channel.path) as fd:
                return os.readlink("current", dir_fd=fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == 22:  # EINVAL
                raise _broken(channel, "it is not a symbolic link") from error
            raise


def _broken(channel: Channel, why: str) -> IntegrityError:
    return IntegrityError(
        f"{channel.current} is broken: {why}.",
        hint="`efsprov verify --repair` points it at the journal's last activation.",
    )
