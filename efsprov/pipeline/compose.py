"""Composes a release in a local scratch folder: fetch, stage, check, compile, smoke, index. Nothing touches the root."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from efsprov.core import lock as locks
from efsprov.core.build import BuildRequest
from efsprov.core.errors import SmokeError
from efsprov.core.filelist import FileEntry
from efsprov.core.lock import parse_lock
from efsprov.core.manifest import Distribution, Smoke
from efsprov.core.slim import LIST_NAME
from efsprov.core.target import Target
from efsprov.core.wording import counted
from efsprov.pipeline.compile import bytecode_cache, compile_sources
from efsprov.pipeline.index import write_index
from efsprov.pipeline.installer_settings import InstallerSettings
from efsprov.pipeline.interpreter import Interpreter, find_interpreter
from efsprov.pipeline.scratch import cache_folder
from efsprov.pipeline.slim import Slimmed, left_out_list, slim_site
from efsprov.pipeline.smoke import SmokeResult, smoke
from efsprov.pipeline.stage import stage
from efsprov.pipeline.steps import Steps
from efsprov.pipeline.touched import TouchedPages
from efsprov.pipeline.tree import Fingerprint, fingerprints, list_tree, tidy


@dataclass(frozen=True)
class Composed:
    """A finished tree, laid out as a release, and all that is known of it. ``python`` is the interpreter's name, ``left_out`` the bytes that each slim rule saved."""

    tree: Path
    files: tuple[FileEntry, ...]
    distributions: tuple[Distribution, ...]
    smoke: Smoke
    python: str
    left_out: dict[str, int] = field(default_factory=dict)


def compose(
    request: BuildRequest, target: Target, scratch: Path, steps: Steps, *, settings: InstallerSettings | None = None
) -> Composed:
    """Build what ``request`` asks for in ``scratch/tree``; raises an ``EfsprovError`` of the step that failed.

    ``settings`` say how downloads reach their servers, by default what this machine's environment says.
    """
    python = find_interpreter(target.python)
    lock = parse_lock(request.lock)
    tree, site = scratch / "tree", scratch / "tree" / "site"
    tree.mkdir()
    (tree / locks.NAME).write_text(request.lock, "utf-8")
    staged = stage(
        lock,
        target,
        site,
        scratch,
        steps,
        python=python.path,
        requested=request.requested,
        installer=request.installer,
        allow_sdists=request.allow_sdists,
        settings=settings,
    )
    slimmed = _slim(request, tree, site, staged.hashes, steps)
    tidy(site)
    with steps.step("compile") as step:
        compiled = compile_sources(site, python, slimmed.hashes, bytecode_cache(python))
        step.outcome = counted(compiled.compiled, "module") + (
            f", {compiled.known} of them known" if compiled.known else ""
        )
    hashes = {**slimmed.hashes, **compiled.hashes}
    before = fingerprints(site)
    imported, tested = _smoke(request, target, site, python, staged.import_names, steps, hashes)
    with steps.step("index") as step, ThreadPoolExecutor(1) as aside:
        looked = aside.submit(fingerprints, site)
        index = write_index(tree, site, python.path, imported, arch=target.arch)
        after = looked.result()
        _refuse_changes(before, after, tested.imports)
        step.outcome = f"{counted(index.modules, 'module')}, {index.hot_modules} of them on the import's path"
        known = {f"site/{path}": sha256 for path, sha256 in hashes.items()} | dict(index.sha256)
        files = list_tree(tree, known, seen={site.name: after})
    left_out = {rule: saving.bytes for rule, saving in slimmed.saved.items()}
    return Composed(tree, files, staged.distributions, tested, f"{python} ({target.name})", left_out)


def _slim(request: BuildRequest, tree: Path, site: Path, hashes: dict[str, str], steps: Steps) -> Slimmed:
    """Leave out what the request says, and list it in the release."""
    if not request.slim:
        return Slimmed(hashes)
    with steps.step("stage", f"leaving out {', '.join(request.slim)}") as step:
        slimmed = slim_site(site, request.slim, hashes=hashes)
        (tree / LIST_NAME).write_text(left_out_list(slimmed.left_out, below="site"), "utf-8", "surrogateescape")
        saved = sum(saving.bytes for saving in slimmed.saved.values())
        step.outcome = f"{counted(len(slimmed.left_out), 'file')} left out, {saved / 1e6:.0f} MB saved"
    for remark in slimmed.remarks:
        steps.warn("stage", remark)
    return slimmed


def _smoke(
    request: BuildRequest,
    target: Target,
    site: Path,
    python: Interpreter,
    names: tuple[str, ...],
    steps: Steps,
    hashes: Mapping[str, str],
) -> tuple[SmokeResult | None, Smoke]:
    """Import the release, unless this machine cannot run it; then say so."""
    if target.arch != python.arch:
        left_out = f"this builder is {python.arch}, the release {target.arch}"
        steps.warn("smoke", f"The smoke test is left out: {left_out}.")
        return None, Smoke(left_out=left_out)
    imports = request.imports or names
    if not imports:
        raise SmokeError(
            f"No import name is known for {', '.join(request.requirements)}.", hint="Say what to import: --import NAME."
        )
    with steps.step("smoke", f"import {', '.join(imports)}") as step:
        pages = TouchedPages(cache_folder() / "touched", hashes, python, imports)
        result = smoke(site, python.path, imports, touched=pages.recall())
        pages.remember(result.libraries)
        step.outcome = f"import {', '.join(imports)}: {counted(len(result.modules), 'module')}"
    return result, Smoke(
        imports=imports, python=str(python), seconds=round(result.seconds, 3), modules=len(result.modules)
    )


def _refuse_changes(
    before: Mapping[str, Fingerprint], after: Mapping[str, Fingerprint], imports: tuple[str, ...]
) -> None:
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    if changed:
        raise SmokeError(
            f"Importing {', '.join(imports)} wrote into the release: {', '.join(changed[:3])}"
            + (f" and {len(changed) - 3} more files." if len(changed) > 3 else "."),
            hint="A release is immutable, and functions may mount it read-only: this package must write elsewhere.",
        )
