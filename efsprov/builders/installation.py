"""Brings efsprov to a host: finds out what the host is, and makes an environment there with what runs here."""

import hashlib
import inspect
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from efsprov.builders.remote import unpack
from efsprov.builders.ssh.host import Host
from efsprov.builders.wheel import own_wheel
from efsprov.core.errors import BuilderError
from efsprov.core.target import LAMBDA_RUNTIMES, Target
from efsprov.emit.archive import Member, pack
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.scratch import cache_folder
from efsprov.pipeline.tools.uv import UV_GLIBC, own_python, run_uv

NEEDS: Final = ("packaging", "pydantic", "pyelftools", "urllib3", "uv")
"""What the pipeline imports from outside; the rest of efsprov's dependencies stays here."""
OLDEST_PYTHON: Final = (3, 11)
# Where the pipeline looks for interpreters, too. Each is tried: a version manager's shim may lead nowhere.
_PROBE: Final = r"""
echo "machine $(uname -m)"
echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null)"
echo "cache ${XDG_CACHE_HOME:-$HOME/.cache}/efsprov/hosts"
for version in PYTHONS; do
  for found in "$(command -v python$version)" "${PYENV_ROOT:-/nowhere}"/versions/$version.*/bin/python$version \
    "$HOME"/.local/share/uv/python/cpython-$version.*/bin/python$version; do
    [ -x "$found" ] && "$found" -I -c "" 2>/dev/null && echo "python $version $found"
  done
done
true
""".replace("PYTHONS", " ".join(runtime.python for runtime in LAMBDA_RUNTIMES))


@dataclass(frozen=True)
class HostFacts:
    """What a host is. ``pythons`` maps versions ("3.11") to interpreters, ``cache`` is where environments are kept."""

    machine: str
    glibc: tuple[int, int]
    pythons: Mapping[str, str]
    cache: str


@dataclass(frozen=True)
class Bundle:
    """What is uploaded: efsprov's wheel and what it needs on the host, as one zip, known by its SHA-256."""

    path: Path
    sha256: str


def install(host: Host, target: Target, settings: InstallerSettings, *, python: str | None = None) -> tuple[str, ...]:
    """Make efsprov's environment on the host, unless it is there, and return how to start its remote side.

    It runs by the target's Python, or by the newest of the host where that is older than efsprov itself can use.
    ``python`` names an interpreter on the host instead. Raises ``BuilderError`` when the host has none that will do.
    """
    facts = probe(host)
    version, interpreter = choose_python(facts, target, named=python)
    bundle = make_bundle(facts, version, settings)
    folder = f"{facts.cache}/{bundle.sha256[:16]}-python{version}"
    command = (f"{folder}/bin/python", "-I", "-m", "efsprov.builders.remote")
    known = host.execute(["sh", "-c", f"test -e {shlex.quote(folder)}/{unpack.MARKER} && touch {shlex.quote(folder)}"])
    if known.code != 0:
        script = [interpreter, "-I", "-c", inspect.getsource(unpack), folder, bundle.sha256]
        done = host.execute(script, bundle.path.read_bytes())
        last = done.stdout.strip().rpartition("\n")[2]
        if last != "ok":
            reason = last.removeprefix("failed: ") or done.stderr or f"exit code {done.code}"
            raise BuilderError(
                f"efsprov cannot be installed in {folder} on {host.target.host}: {reason}.",
                hint="It takes about 70 MB there. XDG_CACHE_HOME on the host moves it; [ssh] python in efsprov.toml names another interpreter.",
            )
    return command


def probe(host: Host) -> HostFacts:
    """Ask a host what it is; raises ``BuilderError`` when it is not a Linux with the GNU C library."""
    answer = host.execute(["sh", "-c", _PROBE])
    facts: dict[str, str] = {}
    pythons: dict[str, str] = {}
    for line in answer.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word == "python":
            version, _, path = rest.partition(" ")
            pythons.setdefault(version, path)
        else:
            facts.setdefault(word, rest)
    libc = re.fullmatch(r"glibc (\d+)\.(\d+).*", facts.get("libc", ""))
    if not libc or facts.get("machine") not in {"x86_64", "aarch64"}:
        raise BuilderError(
            f"{host.target.host} cannot build: it is not a Linux with the GNU C library on x86_64 or arm64"
            f" ({facts.get('machine') or answer.stderr or 'it did not answer'}).",
            hint="Use another host, or --builder ec2.",
        )
    return HostFacts(facts["machine"], (int(libc[1]), int(libc[2])), pythons, facts["cache"])


def choose_python(facts: HostFacts, target: Target, *, named: str | None) -> tuple[str, str]:
    """Return the version and the path of the interpreter that efsprov runs by on the host."""
    if target.machine != facts.machine:
        raise BuilderError(
            f"The host is {facts.machine}, the target {target.name} is not: the release could not be proven to import.",
            hint="Use a host of the target's architecture, or another --arch.",
        )
    if named:
        version = re.search(r"python(3\.\d+)$", named)
        return (version[1] if version else target.python), named
    if target.python not in facts.pythons:
        there = ", ".join(facts.pythons) or "none"
        raise BuilderError(
            f"CPython {target.python} is not on the host (it has: {there}): it is needed to prove that the release imports.",
            hint="Install it there, build for another runtime, or use --builder ec2, which installs it.",
        )
    usable = sorted((v for v in facts.pythons if _parts(v) >= OLDEST_PYTHON), key=_parts)
    if target.python in usable:
        return target.python, facts.pythons[target.python]
    if not usable:
        raise BuilderError(
            "The host has no Python 3.11 or newer, by which efsprov runs there.",
            hint="Install one beside the target's own: `dnf install python3.13`, `uv python install 3.13`.",
        )
    return usable[-1], facts.pythons[usable[-1]]


def make_bundle(facts: HostFacts, version: str, settings: InstallerSettings) -> Bundle:
    """Return the bundle for a host, from the cache where it was made before.

    What efsprov needs there is installed here, for the host's platform and in the versions that run here, with the
    user's own index, proxy and certificates: so the host needs no way to an index for it, and no installer.
    """
    pins, (name, wheel) = pinned_needs(version, facts.machine), own_wheel()
    platform = uv_platform(facts.machine, facts.glibc)
    key = hashlib.sha256("\n".join([*pins, platform, version, hashlib.sha256(wheel).hexdigest()]).encode()).hexdigest()
    path = cache_folder() / "bundles" / f"{key}.zip"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            contents = {f"wheel/{name}": wheel, **needed_files(pins, platform, version, Path(scratch), settings)}
            made = Path(scratch) / "bundle.zip"
            members = {inside: Member(content, inside.startswith("bin/")) for inside, content in contents.items()}
            made.write_bytes(pack(members))
            made.rename(path)
    return Bundle(path, hashlib.sha256(path.read_bytes()).hexdigest())


def uv_platform(machine: str, glibc: tuple[int, int]) -> str:
    """Return uv's name of the newest platform that a machine with this C library can run."""
    return f"{machine}-manylinux_2_{max(g for g in UV_GLIBC if g <= max(glibc[1], UV_GLIBC[0]))}"


def pinned_needs(version: str, machine: str) -> list[str]:
    """Return what the remote side needs, with all that this needs in turn, each in the version that is installed here."""
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "extra": "",
    }
    pins: dict[str, str] = {}
    waiting = [Requirement(name) for name in NEEDS]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in pins or (requirement.marker and not requirement.marker.evaluate(environment)):
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            pins[name] = str(requirement)  # needed there, though not here
            continue
        pins[name] = f"{name}=={installed.version}"
        waiting += [Requirement(text) for text in installed.requires or []]
    return sorted(pins.values())


def needed_files(
    pins: list[str], platform: str, version: str, scratch: Path, settings: InstallerSettings
) -> dict[str, bytes]:
    """Fetch wheels of exactly ``pins`` for a platform of uv's and return their files: `bin/uv` and `site/...`."""
    site = scratch / "site"
    options = ["--target", str(site), "--python-platform", platform, "--python-version", version, "--link-mode", "copy"]
    answer = run_uv(
        ["pip", "install", "--python", own_python(), "--only-binary", ":all:", "--no-deps", *options, *pins], settings
    )
    if not answer.ok:
        raise BuilderError(
            f"What efsprov needs on the host could not be fetched:\n{answer.stderr.strip()}",
            hint="It comes from the index that your installer settings name; the host itself needs none for it.",
        )
    files = (path for path in sorted(site.rglob("*")) if path.is_file() and path.name != ".lock")
    named = ((path.relative_to(site).as_posix(), path) for path in files)
    return {
        (inside if inside.startswith("bin/") else f"site/{inside}"): path.read_bytes()
        for inside, path in named
        if "__pycache__" not in path.parts and (not inside.startswith("bin/") or inside == "bin/uv")
    }


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
