"""Asks the servers for the sizes of a lock's files, where the index did not tell them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from efsprov.core.errors import FetchError
from efsprov.core.lock import Lock
from efsprov.pipeline.http import Downloads
from efsprov.pipeline.installer_settings import InstallerSettings

AT_ONCE = 16


def with_sizes(lock: Lock, settings: InstallerSettings) -> Lock:
    """Fill in the sizes that are missing, as far as they can be had; a server that does not tell is no error."""
    missing = [package.file for package in lock.packages if package.file.size is None]
    if not missing:
        return lock
    with Downloads(settings, connections=AT_ONCE) as downloads, ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = list(pool.map(lambda file: _size(file.url, downloads), missing))
    return lock.with_sizes({file.sha256: size for file, size in zip(missing, sizes, strict=True) if size is not None})


def _size(url: str, downloads: Downloads) -> int | None:
    try:
        if urlsplit(url).scheme == "file":
            return Path(unquote(urlsplit(url).path)).stat().st_size
        return downloads.size(url)
    except (OSError, FetchError):
        return None
