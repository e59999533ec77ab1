"""Composes a release in a local scratch folder: fetch, stage, check, compile, smoke, index. Nothing touches the root."""

from collections.abc import Iterable, Mapping
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
from efsprov.core.wording import pluralize
from efsprov.pipeline.imports.both_ways import import_by_index
from efsprov.pipeline.imports.compile import bytecode_cache, compile_sources
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.proven import ProvenImport
from efsprov.pipeline.imports.smoke import SmokeResult, Touched, smoke
from efsprov.pipeline.imports.touched_pages import TouchedPages
from efsprov.pipeline.stage.slim import Slimmed, left_out_list, slim_site
from efsprov.pipeline.stage.stage import stage
from efsprov.pipeline.stage.tree import Fingerprint, fingerprints, list_tree, settle_modes, tidy
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.interpreter import Interpreter, find_interpreter
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import cache_folder

_KEEP = ".keep"
_MOST_FOLDERS = 20


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
    request: BuildRequest,
    target: Target,
    scratch: Path,
    steps: ProgressReporter,
    *,
    settings: InstallerSettings | None = None,
) -> Composed:
    """Build what ``request`` asks for in ``scratch/tree``; raises an ``EfsprovError`` of the step that failed.

    ``settings`` say how downloads reach their servers, by default what this machine's environment says.
    """
    python = find_interpreter(target.python)
    lock = parse_lock(request.lock)
    tree, site = scratch / "tree", scratch / "tree" / "site"
    tree.mkdir()
    (tree / locks.NAME).write_text(lock.without_queries().dump(), "utf-8")
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
        step.outcome = pluralize(compiled.compiled, "module") + (
            f", {compiled.known} of them known" if compiled.known else ""
        )
    hashes = {**slimmed.hashes, **compiled.hashes}
    before = fingerprints(site)
    imported, tested, made = _smoke(request, target, site, python, staged.import_names, steps, hashes)
    before |= made
    with steps.step("index") as step, ThreadPoolExecutor(2) as aside:
        fingerprinted = aside.submit(fingerprints, site)
        index = write_index(tree, site, python.path, imported, arch=target.arch, bound=request.lock_digest[:8])
        proven = ProvenImport(cache_folder() / "proven", hashes, python, imported) if imported else None
        compare = proven is not None and not proven.is_known
        again = aside.submit(import_by_index, tree, python.path, imported) if compare and imported else None
        after = fingerprinted.result()
        _refuse_changes(before, after, tested.imports)
        step.outcome = f"{pluralize(index.modules, 'module')}, {index.hot_modules} of them on the import's path"
        settle_modes(tree, done=(site.name,))
        known = {f"site/{path}": sha256 for path, sha256 in hashes.items()} | dict(index.sha256)
        files = list_tree(tree, known, seen={site.name: after})
        if again and proven:
            again.result()
            proven.remember()
    left_out = {rule: saving.bytes for rule, saving in slimmed.saved.items()}
    return Composed(tree, files, staged.distributions, tested, f"{python} ({target.name})", left_out)


def _slim(request: BuildRequest, tree: Path, site: Path, hashes: dict[str, str], steps: ProgressReporter) -> Slimmed:
    """Leave out what the request says, and list it in the release."""
    if not request.slim:
        return Slimmed(hashes)
    with steps.step("stage", f"leaving out {', '.join(request.slim)}") as step:
        slimmed = slim_site(site, request.slim, hashes=hashes)
        (tree / LIST_NAME).write_text(left_out_list(slimmed.left_out, below="site"), "utf-8", "surrogateescape")
        saved = sum(saving.bytes for saving in slimmed.saved.values())
        step.outcome = f"{pluralize(len(slimmed.left_out), 'file')} left out, {saved / 1e6:.0f} MB saved"
    for remark in slimmed.remarks:
        steps.warn("stage", remark)
    return slimmed


def _smoke(
    request: BuildRequest,
    target: Target,
    site: Path,
    python: Interpreter,
    names: tuple[str, ...],
    steps: ProgressReporter,
    hashes: Mapping[str, str],
) -> tuple[SmokeResult | None, Smoke, dict[str, Fingerprint]]:
    """Import the release, unless this machine cannot run it; then say so.

    Returned is also what was put into the site meanwhile: see ``_import_with_folders``.
    """
    if target.arch != python.arch:
        left_out = f"this builder is {python.arch}, the release {target.arch}"
        steps.warn("smoke", f"The smoke test is left out: {left_out}.")
        return None, Smoke(left_out=left_out), {}
    imports = request.imports or names
    if not imports:
        raise SmokeError(
            f"No import name is known for {', '.join(request.requirements)}.", hint="Say what to import: --import NAME."
        )
    with steps.step("smoke", f"import {', '.join(imports)}") as step:
        pages = TouchedPages(cache_folder() / "touched", hashes, python, imports)
        result, made = _import_with_folders(site, python, imports, pages.recall())
        pages.remember(result.libraries)
        step.outcome = f"import {', '.join(imports)}: {pluralize(len(result.modules), 'module')}"
    if result.writes:
        steps.note(
            "smoke",
            f"Importing {', '.join(imports)} wanted to change {_some(result.writes)} in the release, and works without: "
            "functions see a release read-only.",
        )
    if made:
        steps.note(
            "smoke", f"Importing {', '.join(imports)} makes folders in the release; it has them already: {_some(made)}."
        )
    tested = Smoke(
        imports=imports,
        python=str(python),
        seconds=round(result.seconds, 6),
        cpu_seconds=round(result.cpu_seconds, 6),
        peak_bytes=result.max_rss,
        modules=len(result.modules),
        box=result.box,
    )
    return result, tested, made


def _import_with_folders(
    site: Path, python: Interpreter, imports: tuple[str, ...], touched: Touched | None
) -> tuple[SmokeResult, dict[str, Fingerprint]]:
    """Import; where that fails because folders cannot be made in a read-only release, put them there, and try again.

    A package that makes a cache folder beside itself does not work in a function unless the folder is there already. File
    lists name no empty folders, so each holds an empty file.
    """
    made: dict[str, Fingerprint] = {}
    while True:
        try:
            return smoke(site, python.path, imports, touched=touched), made
        except SmokeError as error:
            missing = [name for name in error.wanted_folders if not (site / name).exists()]
            if not missing or len(made) > _MOST_FOLDERS:
                raise
            for name in missing:
                (site / name).mkdir(parents=True)
                for folder in (site / name, *(site / name).parents):
                    if folder == site:
                        break
                    folder.chmod(0o755)
                (site / name / _KEEP).touch(mode=0o644)
                made[f"{name}/{_KEEP}"] = Fingerprint.of((site / name / _KEEP).lstat())


def _some(paths: Iterable[str]) -> str:
    """Name the first of several paths."""
    first, *rest = sorted(paths)
    return f"{first} and {len(rest)} more" if rest else first


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
