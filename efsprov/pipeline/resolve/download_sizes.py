"""Asks the servers for the sizes of a lock's files, where the index did not tell them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from efsprov.core.errors import FetchError
from efsprov.core.lock import Lock
from efsprov.core.urls import split_url
from efsprov.pipeline.tools.http import Downloads
from efsprov.pipeline.tools.installer_settings import InstallerSettings

AT_ONCE = 16


def with_sizes(lock: Lock, settings: InstallerSettings) -> Lock:
    """Fill in the sizes that are missing, as far as they can be had; a server that does not tell is not an error."""
    missing = [package.file for package in lock.packages if package.file.size is None]
    if not missing:
        return lock
    with Downloads(settings, connections=AT_ONCE) as downloads, ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = list(pool.map(lambda file: _size(file.url, downloads), missing))
    return lock.with_sizes({file.sha256: size for file, size in zip(missing, sizes, strict=True) if size is not None})


def _size(url: str, downloads: Downloads) -> int | None:
    try:
        parts = split_url(url)
        if parts.scheme == "file":
            return Path(unquote(parts.path)).stat().st_size
        return downloads.size(url)
    except (OSError, FetchError):
        return None
