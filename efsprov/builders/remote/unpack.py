"""Makes efsprov's own environment on a host. Sent there as text and run by the host's Python, before efsprov is there.

Arguments: the environment's folder, the SHA-256 of the bundle. stdin: the bundle, a zip with efsprov's wheel and, under
`site/`, what it needs. The last line of stdout is "ok", or "failed: " and the reason. Standard library only.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

UNUSED_SECONDS = 30 * 24 * 3600
MARKER = "efsprov-environment"


def main(arguments: "list[str]") -> int:
    """Make the environment, unless it is there; it appears under its name when it is whole."""
    folder, digest = Path(arguments[0]), arguments[1]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent) as bundle:
            shutil.copyfileobj(sys.stdin.buffer, bundle, 1 << 20)
            bundle.seek(0)
            if hashlib.sha256(bundle.read()).hexdigest() != digest:
                say("failed: the upload is not whole")
                return 1
            with (folder.parent / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / MARKER).exists():
                    make(folder, bundle)
                remove_unused(folder)
    except (OSError, zipfile.BadZipFile) as error:
        say(f"failed: {getattr(error, 'strerror', None) or error}")
        return 1
    say("ok")
    return 0


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def make(folder: Path, bundle: object) -> None:
    """Make a virtual environment without an installer and put the bundle's files into it."""
    made = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
    try:
        venv.create(made, with_pip=False, symlinks=True)
        site = made / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        with zipfile.ZipFile(bundle) as members:  # type: ignore[call-overload]
            for member in members.infolist():
                extract(members, member, site, made / "bin")
        (made / MARKER).touch()
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def extract(members: zipfile.ZipFile, member: zipfile.ZipInfo, site: Path, programs: Path) -> None:
    """Put one file of the bundle where it belongs."""
    top, _, rest = member.filename.partition("/")
    if top == "wheel":
        with members.open(member) as wheel, zipfile.ZipFile(wheel) as inner:
            inner.extractall(site)
        return
    place = programs / rest if top == "bin" else site / rest
    place.parent.mkdir(parents=True, exist_ok=True)
    with members.open(member) as source, place.open("wb") as written:
        shutil.copyfileobj(source, written, 1 << 20)
    place.chmod((member.external_attr >> 16) & 0o777)


def remove_unused(used: Path) -> None:
    """Remove environments that no run has used for a month, and what an interrupted upload left."""
    os.utime(used)
    for folder in used.parent.iterdir():
        if folder.is_dir() and folder != used and time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
