"""From a lock to a site that is what its wheels say: fetch, look into the wheels, install, check."""

import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from efsprov.core.gate import gate
from efsprov.core.import_names import import_names
from efsprov.core.lock import Lock, LockedPackage
from efsprov.core.manifest import Distribution
from efsprov.core.runtime_libraries import LibraryNeeds
from efsprov.core.target import Target
from efsprov.core.wording import pluralize
from efsprov.pipeline.stage.check_site import CheckedSite, WrongContentError, check_site
from efsprov.pipeline.stage.hash_ahead import HashAhead
from efsprov.pipeline.stage.inspect_wheel import Wheel, inspect
from efsprov.pipeline.stage.install import Installer, WheelFile, forget_unpacked, install
from efsprov.pipeline.stage.libraries import check_libraries
from efsprov.pipeline.stage.sdists import build_wheels
from efsprov.pipeline.tools.installer_settings import InstallerSection, InstallerSettings, installer_settings
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import cache_folder
from efsprov.pipeline.tools.wheel_cache import WheelCache, fetch


@dataclass(frozen=True)
class Staged:
    """A checked site. ``hashes`` has the SHA-256 of every file in it by its path, ``import_names`` what to import."""

    hashes: dict[str, str]
    distributions: tuple[Distribution, ...]
    import_names: tuple[str, ...]


def stage(
    lock: Lock,
    target: Target,
    site: Path,
    scratch: Path,
    steps: ProgressReporter,
    *,
    python: Path = Path(sys.executable),
    requested: Sequence[str] = (),
    installer: Installer = "uv",
    allow_sdists: bool = False,
    settings: InstallerSettings | None = None,
) -> Staged:
    """Install a lock into ``site``, which must not exist, with ``scratch`` for what is needed meanwhile.

    ``requested`` are the names of the distributions that were asked for, by default those that no other one needs.
    ``python`` runs the installer and builds what comes as sources; for the latter it must be the target's. No code of a
    package runs, unless sources were allowed. Raises ``GateError`` for wheels or libraries that do not fit the target,
    ``FetchError``, and ``BuildError`` for wheels that are not what they say.
    """
    settings = settings or installer_settings(InstallerSection(), os.environ, folder=Path.cwd())
    gate(lock, target, allow_sdists=allow_sdists)
    cache = WheelCache(cache_folder() / "wheels")
    here = {package.name for package in lock.packages if cache.has(package.file)}
    with steps.step("fetch") as step:
        files = fetch(lock, cache, settings, report=step.bytes)
        size = sum(file.stat().st_size for file in files.values())
        step.outcome = f"{pluralize(len(files), 'file')}, {size / 1e6:.0f} MB" + (
            ", all of them here already" if len(here) == len(files) else ""
        )
    packages = lock.packages
    if any(not package.file.is_wheel for package in packages):
        with steps.step("stage", "building what comes as sources") as step:
            packages, files = build_wheels(
                packages, files, target=target, python=python, settings=settings, scratch=scratch
            )
            step.outcome = "built what comes as sources"
    unpacked = cache_folder() / "uv"
    with HashAhead(site) as ahead, ThreadPoolExecutor(1) as aside, steps.step("stage") as step:
        # A wheel that is new here is looked into before it is unpacked: it may be a bomb. The others were found sound
        # before, so that looking again can go on beside.
        sound = {package.name for package in packages if cache.is_sound(package.file)}
        fresh = _inspect([package for package in packages if package.name not in sound], files)
        for package in lock.packages:
            if package.file.is_wheel:
                cache.mark_sound(package.file)
        known = [package for package in packages if package.name in sound]

        def inspect() -> list[Wheel]:
            wheels = sorted([*fresh, *_inspect(known, files)], key=lambda wheel: wheel.name)
            ahead.start(wheels)
            return wheels

        inspected = aside.submit(inspect)
        put = partial(
            install,
            [WheelFile(package.name, files[package.name], package.file.sha256) for package in packages],
            site,
            target=target,
            python=python,
            settings=settings,
            cache=unpacked,
            scratch=scratch,
            installer=installer,
        )
        put()
        wheels = inspected.result()
        step.outcome = pluralize(len(packages), "package")
    with steps.step("check") as step:
        try:
            checked = check_site(site, wheels, target, known=ahead.stop())
        except WrongContentError as error:
            # The site's files, and with them a release's on the same disk, are hard links of the unpacked wheels: who
            # wrote into one of them has changed the wheel for everybody after.
            steps.warn("check", f"{error.path} was changed where wheels lie unpacked, {unpacked}: unpacking it again.")
            forget_unpacked(error.wheels, unpacked, settings)
            shutil.rmtree(site)
            put()
            checked = check_site(site, wheels, target)
        libraries = check_libraries(site, checked.libraries, target)
        remarks = (*checked.remarks, *libraries.remarks)
        for package in lock.packages:
            if package.file.is_wheel:
                nothing = LibraryNeeds(package.file.filename)
                cache.note_libraries(package.file, target.machine, libraries.needs.get(package.name, nothing))
        step.outcome = f"{pluralize(len(checked.hashes), 'file')}, {pluralize(len(checked.libraries), 'library')}"
    for remark in remarks:
        steps.warn("check", remark)
    roots = requested or _roots(wheels)
    return Staged(checked.hashes, _distributions(packages, files, checked, roots), _import_names(site, wheels, roots))


def _roots(wheels: Sequence[Wheel]) -> tuple[str, ...]:
    needed = {name for wheel in wheels for name in wheel.requires}
    return tuple(wheel.name for wheel in wheels if wheel.name not in needed)


def _inspect(packages: Sequence[LockedPackage], files: dict[str, Path]) -> list[Wheel]:
    return [inspect(files[package.name], package) for package in packages]


def _distributions(
    packages: Sequence[LockedPackage], files: dict[str, Path], checked: CheckedSite, requested: Sequence[str]
) -> tuple[Distribution, ...]:
    return tuple(
        Distribution(
            name=package.name,
            version=package.version,
            wheel=package.file.filename,
            sha256=package.file.sha256,
            size=files[package.name].stat().st_size,
            installed_size=checked.sizes.get(package.name, 0),
            requested=package.name in requested,
        )
        for package in packages
    )


def _import_names(site: Path, wheels: Sequence[Wheel], requested: Sequence[str]) -> tuple[str, ...]:
    """Return what to import of the distributions that were asked for; of an empty one, what it depends on."""
    by_name = {wheel.name: wheel for wheel in wheels}
    found: list[str] = []
    for name in requested:
        wheel = by_name.get(name)
        if wheel is None:  # its marker does not hold for the target
            continue
        names = _names_of(site, wheel)
        if not names:
            needed = [by_name[need] for need in wheel.requires if need in by_name]
            names = tuple(name for need in needed for name in _names_of(site, need))
        found += names
    return tuple(dict.fromkeys(found))


def _names_of(site: Path, wheel: Wheel) -> tuple[str, ...]:
    top_level = f"{wheel.dist_info}/top_level.txt"
    listed = (site / top_level).read_text("utf-8").split() if top_level in wheel.files else ()
    return import_names(wheel.name, wheel.files, listed)
