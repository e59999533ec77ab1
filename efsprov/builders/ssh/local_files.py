"""Wheels that a lock names by a path of this machine: brought to the host, and named by their path there."""

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from efsprov.builders.ssh.host import Host
from efsprov.core.build import BuildRequest
from efsprov.core.errors import BuilderError, FetchError
from efsprov.core.lock import Lock, LockedFile, parse_lock
from efsprov.core.urls import split_url

_FOLDER = 'echo "${XDG_CACHE_HOME:-$HOME/.cache}/efsprov/wheels"'
# Renews the lease (`Follower`) with each 32 MiB that arrive: an upload may take longer than a lease lasts. `head -c`
# takes no byte more.
_RECEIVE = """
mkdir -p "$1" && : > "$1/$2.$$" || exit
before=-1
while now=$(stat -c %s "$1/$2.$$") && [ "$now" != "$before" ]; do
    before=$now
    head -c 33554432 >> "$1/$2.$$" || exit
    [ -z "$3" ] || touch -c "$3"
done
mv "$1/$2.$$" "$1/$2"
"""


def bring_local_files(host: Host, request: BuildRequest, *, lease: str = "") -> BuildRequest:
    """Upload the local files of the request's lock to the host and return the request with their new places.

    A file that is there already, by its SHA-256, is not sent again. The lock's digest stays: it does not depend on
    where the files are. ``lease`` is the host's file that the upload renews. Raises ``FetchError`` for a file that is
    not what the lock says.
    """
    lock = parse_lock(request.lock)
    local = {package.file: path for package in lock.packages if (path := local_path(package.file)) is not None}
    if not local:
        return request
    folder = host.execute(["sh", "-c", _FOLDER]).stdout.strip()
    moved = {file: replace(file, url=_upload(host, file, path, folder, lease)) for file, path in local.items()}
    return request.model_copy(update={"lock": _moved(lock, moved).dump()})


def local_path(file: LockedFile) -> Path | None:
    """Return the path of a locked file that lies on this machine, None for one that is elsewhere."""
    parts = split_url(file.url)
    return Path(unquote(parts.path)) if parts.scheme in {"file", ""} else None


def _upload(host: Host, file: LockedFile, local: Path, folder: str, lease: str) -> str:
    there = f"{folder}/{file.sha256}"
    known = host.execute(["sh", "-c", f"test -e {shlex.quote(f'{there}/{file.filename}')}"])
    if known.code != 0:
        try:
            content = local.read_bytes()
        except OSError as error:
            raise FetchError(
                f"{local} cannot be read: {error.strerror}.", hint="Resolve again: it was there then."
            ) from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise FetchError(f"{local} has changed since the lock was made.", hint="Run the command again.")
        done = host.execute(["sh", "-c", _RECEIVE, "sh", there, file.filename, lease], content)
        if done.code != 0:
            raise BuilderError(f"{file.filename} cannot be stored in {there} on the host: {done.stderr}")
    return Path(f"{there}/{file.filename}").as_uri()


def _moved(lock: Lock, moved: dict[LockedFile, LockedFile]) -> Lock:
    packages = tuple(
        replace(
            package,
            wheels=tuple(moved.get(wheel, wheel) for wheel in package.wheels),
            sdist=moved.get(package.sdist, package.sdist) if package.sdist else None,
        )
        for package in lock.packages
    )
    return replace(lock, packages=packages)
