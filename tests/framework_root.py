"""Roots that hold a real framework, made once for a test run, whichever worker asks first. Read-only to the tests.

A conftest imports the fixtures. `fill` is the one place that knows how a root comes to be.
"""

import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import uv

RELEASE_ID = "20261121T063000Z-3f2a9c1b"


@dataclass(frozen=True)
class FrameworkRoot:
    """``release`` is the current release of ``channel`` for ``target``, the interpreter that runs the tests."""

    root: Path
    channel: str
    target: str
    release: str

    @property
    def site(self) -> Path:
        """What goes on sys.path."""
        return self.root / "deps" / self.channel / self.target / "releases" / self.release / "site"


class FrameworkRoots:
    """Makes each root once in ``folder``, which the processes of a test run share and the last to leave removes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = uuid.uuid4().hex

    def __enter__(self) -> Self:
        with self._locked():
            (self._folder / "users").mkdir(exist_ok=True)
            (self._folder / "users" / self._user).touch()
        return self

    def __exit__(self, *_: object) -> None:
        with self._locked():
            (self._folder / "users" / self._user).unlink()
            if not any((self._folder / "users").iterdir()):
                shutil.rmtree(self._folder)

    def get(self, channel: str, target: str, requirements: Sequence[str], options: Sequence[str] = ()) -> FrameworkRoot:
        """The root of this channel; CalledProcessError, with the installer's words on stderr, if it cannot be made."""
        root = self._folder / channel
        with self._locked():
            if not root.exists():
                half = self._folder / f"{channel}.half"
                shutil.rmtree(half, ignore_errors=True)
                fill(half, channel, target, requirements, options)
                half.rename(root)
        return FrameworkRoot(root, channel, target, RELEASE_ID)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(exist_ok=True)
        with self._folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._folder.mkdir(exist_ok=True)  # the last one to leave may have taken it away while we waited
            yield


def fill(root: Path, channel: str, target: str, requirements: Sequence[str], options: Sequence[str]) -> None:
    """Make ``root`` with one release of ``channel``, installed by uv from wheels, and make it current."""
    series = root / "deps" / channel / target
    site = series / "releases" / RELEASE_ID / "site"
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--only-binary", ":all:"]
    subprocess.run(
        [*install, "--compile-bytecode", "--target", str(site), *options, *requirements],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    (series / "current").symlink_to(f"releases/{RELEASE_ID}")


def plain_target() -> str:
    """The Lambda runtime and architecture that this interpreter is."""
    machine = platform.machine().replace("aarch64", "arm64")
    return f"python{sys.version_info.major}.{sys.version_info.minor}-{machine}"


@pytest.fixture(scope="session")
def framework_roots(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[FrameworkRoots]:
    """The roots of this test run."""
    base = tmp_path_factory.getbasetemp()
    with FrameworkRoots((base if worker_id == "master" else base.parent) / "framework-roots") as roots:
        yield roots


@pytest.fixture(scope="session")
def tensorflow_root(framework_roots: FrameworkRoots) -> FrameworkRoot:
    """TensorFlow 2.15 as on the runtime python3.11."""
    if sys.version_info >= (3, 12):
        pytest.skip("tensorflow 2.15 has wheels for CPython 3.9 to 3.11 only")
    return framework_roots.get("tensorflow", plain_target(), ["tensorflow==2.15.0"])


@pytest.fixture(scope="session")
def torch_root(framework_roots: FrameworkRoots) -> FrameworkRoot:
    """PyTorch 2.13 without CUDA for this machine's own C library: its wheel needs glibc 2.28.

    The default index has only the CUDA build (a ``+cpu`` version exists nowhere but where it is looked for on purpose).
    """
    places = os.environ.get("PIP_FIND_LINKS", "").split()
    if not places:
        pytest.skip("no CPU wheel of torch: PIP_FIND_LINKS is not set")
    found = any(list(Path(place).glob("torch-2.13.0+cpu-cp311-*.whl")) for place in places)
    if not found and os.environ.get("CI") != "true":
        pytest.skip("no CPU wheel of torch 2.13.0 for CPython 3.11 where PIP_FIND_LINKS points")
    glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "")
    links = [word for place in places for word in ("--find-links", place)]
    return framework_roots.get("torch", f"{plain_target()}-{glibc}", ["torch==2.13.0+cpu"], links)
