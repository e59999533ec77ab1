"""Installs wheels into an empty folder by one call of uv or pip, and takes out what tells only of this machine."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from packaging.version import Version

from efsprov.core.errors import BuildError
from efsprov.core.masking import mask
from efsprov.core.target import Target, wheel_tags
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.uv import UV_GLIBC, run_uv

Installer = Literal["uv", "pip"]
# Below, both have known vulnerabilities in how they unpack archives; uv's floor is in efsprov's own requirements.
PIP_FLOOR: Final = Version("26.1.2")
# Where from and when it was installed (PEP 610, and uv's own), and that it was asked for by name, as all are here.
_OF_THIS_MACHINE: Final = ("direct_url.json", "uv_cache.json", "REQUESTED")
_HINT: Final = "Nothing was published. If the disk is full, EFSPROV_CACHE names another folder to build in."


@dataclass(frozen=True)
class WheelFile:
    """A wheel on this machine, and the hash that it must have."""

    name: str
    path: Path
    sha256: str


def install(
    wheels: Sequence[WheelFile],
    site: Path,
    *,
    target: Target,
    python: Path,
    settings: InstallerSettings,
    cache: Path,
    scratch: Path,
    installer: Installer = "uv",
) -> None:
    """Install ``wheels`` into ``site``, which must not exist, without their dependencies and without a network.

    ``python`` runs the installer; the target's is not needed. ``cache`` is uv's folder of unpacked wheels, of which
    the site's files may be hard links. The site has no trace of this machine: no paths of it, no times. Raises
    ``BuildError`` with what the installer said.
    """
    requirements = scratch / "requirements.txt"
    lines = [f"{wheel.name} @ {wheel.path.absolute().as_uri()} --hash=sha256:{wheel.sha256}\n" for wheel in wheels]
    requirements.write_text("".join(lines), "utf-8")
    if installer == "uv":
        _by_uv(
            [*_uv_arguments(target, python), "--target", str(site), "--requirements", str(requirements)],
            settings,
            cache,
        )
    else:
        _by_pip(
            [*find_pip(python), *_pip_arguments(target), "--target", str(site), "--requirement", str(requirements)],
            settings,
        )
    (site / ".lock").unlink(missing_ok=True)
    forget_machine(site, target)


def forget_unpacked(names: Iterable[str], cache: Path, settings: InstallerSettings) -> None:
    """Take distributions out of uv's folder of unpacked wheels; raises ``BuildError`` with what uv said."""
    answer = run_uv(
        ["cache", "clean", *sorted(names)], settings.without_sources(), extra_environment={"UV_CACHE_DIR": str(cache)}
    )
    if not answer.ok:
        raise BuildError(
            f"uv could not clean its cache: {_last_lines(answer.stderr)}", hint=f"Remove the folder {cache}."
        )


def _uv_arguments(target: Target, python: Path) -> list[str]:
    # The gate has held the wheels against the target's exact glibc; uv only needs a platform that takes them all.
    glibc = min((n for n in UV_GLIBC if n >= target.glibc[1]), default=UV_GLIBC[-1])
    arguments = ["pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-index", "--offline"]
    arguments += ["--no-config", "--link-mode", "hardlink", "--python", str(python), "--python-version", target.python]
    return [*arguments, "--python-platform", f"{target.machine}-manylinux_2_{glibc}"]


def _by_uv(arguments: list[str], settings: InstallerSettings, cache: Path) -> None:
    answer = run_uv(arguments, settings.without_sources(), extra_environment={"UV_CACHE_DIR": str(cache)})
    if not answer.ok:
        raise BuildError(f"uv could not install the wheels: {_last_lines(answer.stderr)}", hint=_HINT)


def _pip_arguments(target: Target) -> list[str]:
    arguments = ["install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-index", "--no-compile"]
    arguments += [
        "--no-input",
        "--no-cache-dir",
        "--quiet",
        "--python-version",
        target.python,
        "--implementation",
        "cp",
    ]
    tags = wheel_tags(target)
    for platform in dict.fromkeys(tag.platform for tag in tags if tag.platform != "any"):
        arguments += ["--platform", platform]
    for abi in dict.fromkeys(tag.abi for tag in tags):
        arguments += ["--abi", abi]
    return arguments


def _by_pip(command: list[str], settings: InstallerSettings) -> None:
    environment = {
        **settings.without_sources().environment,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise BuildError(f"pip could not install the wheels: {_last_lines(mask(done.stderr))}", hint=_HINT)


def find_pip(python: Path) -> list[str]:
    """Return the command of a pip that is new enough: ``python``'s, else that of efsprov's own interpreter."""
    found = []
    for candidate in dict.fromkeys((str(python), sys.executable)):
        command = [candidate, "-I", "-m", "pip"]
        result = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
        match = re.match(r"pip (\S+)", result.stdout)
        if match and Version(match[1]) >= PIP_FLOOR:
            return command
        found.append(f"{candidate} has {'pip ' + match[1] if match else 'none'}")
    raise BuildError(
        f"--installer pip needs pip {PIP_FLOOR} or newer: {', '.join(found)}.",
        hint=f"{python} -m pip install --upgrade 'pip>={PIP_FLOOR}'; or leave --installer out: uv comes with efsprov.",
    )


def forget_machine(site: Path, target: Target) -> None:
    """Remove from an installed site what says where and when it was installed, and put the RECORDs right.

    Commands in `bin` start the interpreter that the target's PATH has, and not the builder's.
    """
    scripts = _portable_scripts(site, target)
    for dist_info in site.glob("*.dist-info"):
        record = dist_info / "RECORD"
        dropped = {f"{dist_info.name}/{name}" for name in _OF_THIS_MACHINE}
        lines = record.read_text("utf-8").splitlines()
        kept = [_record_line(line, scripts) for line in lines if line.partition(",")[0] not in dropped]
        for name in _OF_THIS_MACHINE:
            (dist_info / name).unlink(missing_ok=True)
        if kept != lines:
            _replace(record, "".join(f"{line}\n" for line in kept).encode())


def _portable_scripts(site: Path, target: Target) -> dict[str, str]:
    """Rewrite the first line of each command; return the new RECORD lines by path."""
    lines = {}
    for script in sorted((site / "bin").glob("*")) if (site / "bin").is_dir() else ():
        content = script.read_bytes() if script.is_file() else b""
        first, newline, rest = content.partition(b"\n")
        if first == b"#!/bin/sh" and rest.startswith(b"'''exec' "):  # the form for interpreters with a long path
            rest = rest.partition(b"\n' '''\n")[2]
        elif not (first.startswith(b"#!") and b"python" in first):
            continue
        new = f"#!/usr/bin/env python{target.python}".encode() + newline + rest
        _replace(script, new)
        digest = base64.urlsafe_b64encode(hashlib.sha256(new).digest()).rstrip(b"=").decode()
        lines[f"bin/{script.name}"] = f"bin/{script.name},sha256={digest},{len(new)}"
    return lines


def _record_line(line: str, scripts: Mapping[str, str]) -> str:
    line = line.removeprefix("../../")  # pip counts from where libraries would be, `lib/python` in the site
    return scripts.get(line.partition(",")[0], line)


def _replace(path: Path, content: bytes) -> None:
    """Write a file again: the old one may be a link to the installer's cache."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(path.stat().st_mode)
    fresh.replace(path)


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return json.dumps(lines[-1]) if len(lines) == 1 else "\n  ".join(["", *lines[-6:]])
