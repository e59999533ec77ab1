"""Which release of a channel this process uses: decided once, from the environment and the root's layout.

Reads ``ROOT/deps/CHANNEL/TARGET/current`` and ``ROOT/models/NAME/current``; never writes. Only ``os`` and ``sys`` are
imported, both of which every interpreter has loaded by then: this runs in each cold start.
"""

import os
import sys

TYPE_CHECKING = False  # what type checkers take for true; importing typing would cost more than all that is done here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

_ID_LENGTH = len("20261121T063000Z-3f2a9c1b")


class BootstrapError(ImportError):
    """No release can be pinned; the message says what is missing, where, and what is there instead."""

    __module__ = "efsprov.bootstrap"


class Release:
    """A pinned release: an immutable directory that this process uses until it ends.

    ``channel`` is the series that it belongs to (``""`` for a model's), ``id`` its name, ``target`` the runtime and
    architecture, ``path`` its directory and ``site`` the directory on ``sys.path``; both canonical absolute paths.
    """

    __slots__ = ("channel", "id", "path", "site", "target")

    def __init__(self, channel: str, target: str, release_id: str, path: str) -> None:
        self.channel = channel
        self.target = target
        self.id = release_id
        self.path = path
        self.site = path + "/site"

    def __repr__(self) -> str:
        return f"<Release {self.id} of {self.channel!r} for {self.target}>"


def is_release_id(name: str) -> bool:
    """Whether NAME has the form ``YYYYMMDDTHHMMSSZ-xxxxxxxx``."""
    time, dash, digest = name[:16], name[16:17], name[17:]
    return (
        len(name) == _ID_LENGTH
        and name.isascii()
        and time[8] + time[15] + dash == "TZ-"
        and (time[:8] + time[9:15]).isdigit()
        and not digest.strip("0123456789abcdef")
    )


def root_of(environ: "Mapping[str, str]") -> str:
    """EFSPROV_ROOT as an absolute path."""
    root = environ.get("EFSPROV_ROOT", "")
    if not root:
        raise BootstrapError("EFSPROV_ROOT is not set; set it to the directory that efsprov fills, such as /mnt/efs")
    return os.path.abspath(root)


def channels_of(environ: "Mapping[str, str]", root: str) -> "list[str]":
    """EFSPROV_CHANNEL split at its commas; set but empty means none, for functions that only use models."""
    value = environ.get("EFSPROV_CHANNEL")
    if value is None:
        advice = _present(root + "/deps", "channels")
        if not os.path.isdir(root + "/deps") and os.path.isdir(root + "/models"):
            advice = f"{root} holds models alone: set it to nothing, EFSPROV_CHANNEL="
        raise BootstrapError(f"EFSPROV_CHANNEL is not set; {advice}")
    channels: "list[str]" = []
    for part in value.split(","):
        channel = part.strip()
        if not channel and not value.strip():
            continue
        _check_name(channel, "EFSPROV_CHANNEL")
        if channel not in channels:
            channels.append(channel)
    return channels


def targets_of(environ: "Mapping[str, str]") -> "tuple[str, ...]":
    """Names under which this interpreter's releases may lie, best first.

    A managed Lambda runtime is known by its plain name. Elsewhere a release that was built for exactly this C library
    (``--runtime host``) comes before one for the Lambda runtime of the same Python version. EFSPROV_TARGET overrides.
    """
    python = "python{}.{}".format(*sys.version_info[:2])
    chosen = environ.get("EFSPROV_TARGET")
    if chosen:
        _check_name(chosen, "EFSPROV_TARGET")
        if chosen.partition("-")[0] != python:
            raise BootstrapError(f"EFSPROV_TARGET is {chosen}, but this interpreter is {python}")
        return (chosen,)
    machine = os.uname().machine
    plain = f"{python}-{'arm64' if machine == 'aarch64' else machine}"
    if environ.get("AWS_EXECUTION_ENV", "").startswith("AWS_Lambda_python"):
        return (plain,)
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    except (ValueError, OSError):  # another C library does not know the name
        libc = ""
    return (f"{plain}-{libc.replace(' ', '')}", plain) if libc.startswith("glibc ") else (plain,)


def pins_of(environ: "Mapping[str, str]", channels: "list[str]") -> "dict[str, str]":
    """EFSPROV_RELEASE as {channel: release id}; ``models/NAME=ID`` pins a model.

    A bare id is for the one channel. A name that EFSPROV_CHANNEL does not list is refused: it would pin nothing.
    """
    pins: "dict[str, str]" = {}
    for part in environ.get("EFSPROV_RELEASE", "").split(","):
        if not part.strip():
            continue
        name, equals, release_id = (word.strip() for word in part.rpartition("="))
        if not equals and len(channels) == 1:
            name = channels[0]
        if not name or (name not in channels and not name.startswith("models/")):
            wanted = "CHANNEL=ID for each channel" if not equals else f"only {', '.join(channels) or 'models/NAME'}"
            raise BootstrapError(
                f"EFSPROV_RELEASE has {part.strip()!r}; with this EFSPROV_CHANNEL it may name {wanted}"
            )
        if not is_release_id(release_id):
            raise BootstrapError(f"EFSPROV_RELEASE names {release_id!r}, which is not a release id")
        pins[name] = release_id
    return pins


def pin_channel(root: str, channel: str, targets: "tuple[str, ...]", release_id: "Optional[str]") -> Release:
    """The release of CHANNEL that this process uses: RELEASE_ID, or what ``current`` names now."""
    directory = f"{root}/deps/{channel}"
    for target in targets:
        found = _pin(f"{directory}/{target}", release_id)
        if found:
            return Release(channel, target, *found)
    if not os.path.isdir(directory):
        raise BootstrapError(f"no channel {channel!r}; {_present(root + '/deps', 'channels')}")
    wanted = " or ".join(targets)
    raise BootstrapError(f"channel {channel!r} has nothing for {wanted}; {_present(directory, 'targets')}")


def pin_model(root: str, name: str, release_id: "Optional[str]") -> str:
    """Directory of the files of model NAME: of RELEASE_ID, or of the release that ``current`` names now."""
    _check_name(name, "a model's name")
    found = _pin(f"{root}/models/{name}", release_id)
    if not found:
        raise BootstrapError(f"no model {name!r}; {_present(root + '/models', 'models')}")
    return found[1] + "/files"


def _pin(directory: str, release_id: "Optional[str]") -> "Optional[tuple[str, str]]":
    """(id, canonical path) of the release to use in DIRECTORY; None where there is no such directory.

    A client with a warm cache goes on seeing an old ``current`` until the directory's attributes expire, up to a
    minute; opening the directory first makes it ask the server (measured on NFSv4.1 against NFS-Ganesha).
    """
    try:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BootstrapError(f"{directory} cannot be opened: {error.strerror}") from None
    try:
        path = os.path.realpath(directory)  # whatever is done to links above it later, this process stays here
        release_id = release_id or _inherited(path) or _current(directory, opened)
        release = f"{path}/releases/{release_id}"
        if not _is_directory(f"releases/{release_id}", opened):
            raise BootstrapError(f"{release} is not a directory; {_present(path + '/releases', 'releases')}")
        return release_id, release
    finally:
        os.close(opened)


def _current(directory: str, opened: int) -> str:
    link = directory + "/current"
    try:
        release_id = os.readlink("current", dir_fd=opened)
    except FileNotFoundError:
        raise BootstrapError(f"{link} does not exist: no release has been activated") from None
    except OSError as error:
        raise BootstrapError(f"{link} is not a readable link: {error.strerror}") from None
    parent, _, name = release_id.rpartition("/")
    if parent != "releases" or not is_release_id(name):
        raise BootstrapError(f"{link} points to {release_id!r}, not to releases/ID; it is not followed")
    return name


def _inherited(directory: str) -> str:
    """Id of the release of DIRECTORY that is on ``sys.path`` already, or ``""``.

    multiprocessing's spawned children start with their parent's ``sys.path``: they must not run another release than
    the parent that they exchange pickles with, whatever ``current`` says by then.
    """
    prefix = directory + "/releases/"
    for entry in sys.path:
        if entry.startswith(prefix) and entry.endswith("/site") and is_release_id(entry[len(prefix) : -len("/site")]):
            return entry[len(prefix) : -len("/site")]
    return ""


def _is_directory(name: str, parent: int) -> bool:
    """Whether NAME, relative to the open directory PARENT, is a directory and no link to one."""
    for attempt in range(2):
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o170000 == 0o040000  # as stat.S_ISDIR
        except OSError:
            if attempt:
                return False
        # A name that was asked for before it existed stays missing in the client's cache for a while; opening the
        # directory that holds it makes the client ask again.
        try:
            os.close(os.open(os.path.dirname(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent))
        except OSError:
            return False
    return False


def _check_name(name: str, where: str) -> None:
    if not name or name.startswith(".") or "/" in name or "\0" in name or name != name.strip():
        raise BootstrapError(f"{where}: {name!r} is not a name")


def _present(directory: str, what: str) -> str:
    """What to tell somebody who asked for something that DIRECTORY does not hold."""
    try:
        names = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return f"{directory} does not exist"
    except OSError as error:
        return f"{directory} cannot be read: {error.strerror}"
    return f"{what} in {directory}: {', '.join(names) or 'none'}"
