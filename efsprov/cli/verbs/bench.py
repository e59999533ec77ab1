"""`efsprov bench import`: what importing a release costs on the root that it lies on, with and without its index."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from efsprov.cli.console import err, out, print_json, print_table, size, table
from efsprov.cli.options import Arch, ChannelName, Json, OptionalReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.cli.sync_options import split_names
from efsprov.core.errors import UsageError
from efsprov.core.manifest import Manifest
from efsprov.core.target import Target
from efsprov.pipeline.imports.bench import Comparison, ImportCost, Subject, compare_imports, median
from efsprov.pipeline.tools.interpreter import find_interpreter
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.verify import read_manifest

benches = typer.Typer(name="bench", no_args_is_help=True, help="Measure what a release costs.")

_Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="NAME",
        help="What to import, with commas between several, or repeated (default: what the smoke test did).",
    ),
]
_Rounds = Annotated[
    int, typer.Option("--rounds", min=1, metavar="N", help="Imports of each kind; medians are reported.")
]
_Cold = Annotated[
    bool,
    typer.Option(
        "--cold", help="Empty this machine's caches before each import, as a new function's are (needs root)."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of verbs."""
    app.add_typer(benches, name="bench")


@benches.command("import")
def bench_import(
    root: RootDirectory,
    release: OptionalReleaseId = None,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    imports: _Imports = None,
    rounds: _Rounds = 5,
    *,
    cold: _Cold = False,
    as_json: Json = False,
) -> None:
    """Import a release (the current one by default) in fresh interpreters, plainly and through the shim, and compare.

    Plainly means with its site on sys.path. Requests are counted where the root is mounted by NFS. Seconds of the
    accelerated way include the shim's own.
    """
    chosen = select_channel(root, channel, runtime, arch)
    named = select_release(chosen, read_state(chosen), "current" if release is None else release)
    manifest = read_manifest(chosen, named)
    names = split_names(imports or manifest.smoke.imports)
    subject = _subject(chosen, named, manifest, names)
    with err.status("measuring") as status:
        measured = compare_imports(
            subject,
            names,
            rounds=rounds,
            cold=cold,
            tell=lambda doing: status.update(f"import {', '.join(names)}: {doing}"),
        )
    if as_json:
        print_json(_document(chosen, named, measured))
        return
    _print(chosen, named, measured)


def _subject(chosen: Channel, named: str, manifest: Manifest, names: tuple[str, ...]) -> Subject:
    target = Target.parse(manifest.target)
    if not names:
        raise UsageError(
            f"{named} was built without a smoke test: nothing tells what to import.", hint="Say it with --import NAME."
        )
    python = find_interpreter(target.python)
    if python.arch != target.arch:
        raise UsageError(
            f"{named} is for {target.arch}, and this machine is {python.arch}.",
            hint="Measure it on a machine of that architecture that has the file system mounted.",
        )
    path = chosen.release_path(named)
    root = Path(chosen.root.path)
    return Subject(root, chosen.name, chosen.target, named, path.resolve() / chosen.payload, python.path)


def _document(chosen: Channel, named: str, measured: Comparison) -> dict[str, Any]:
    def way(costs: Sequence[ImportCost]) -> dict[str, Any]:
        return {"median": _medians(costs), "rounds": [asdict(cost) for cost in costs]}

    return {
        "channel": chosen.name,
        "target": chosen.target,
        "release": named,
        "imports": measured.imports,
        "nfs": measured.nfs,
        "cold": measured.cold,
        "plain": way(measured.plain),
        "accelerated": way(measured.accelerated),
        "shim": way(measured.shim),
    }


def _medians(costs: Sequence[ImportCost]) -> dict[str, float]:
    return {
        what: median(costs, what) for what in ("total_requests", "fetched", "wall", "cpu", "peak", "shim", "shim_cpu")
    }


def _print(chosen: Channel, named: str, measured: Comparison) -> None:
    count = len(measured.plain)
    caches = "caches emptied before each" if measured.cold else "warm caches"
    out.print(f"[bold]{named}[/]  {chosen.label}: import {', '.join(measured.imports)}")
    out.print(f"  [dim]{f'median of {count} rounds' if count > 1 else 'one round'}, {caches}[/]")
    rows = [
        ("wall", "wall", _seconds),
        ("  of it the shim", "shim", _seconds),
        ("CPU", "cpu", _seconds),
        ("peak memory", "peak", size),
        ("read over NFS" if measured.nfs else "read from disk", "fetched", size),
    ]
    shown = table("", "plain", "accelerated", "ratio", numbers=("plain", "accelerated", "ratio"))
    if measured.nfs:
        shown.add_row(*_row("NFS requests", "total_requests", lambda number: f"{number:.0f}", measured))
    for label, what, write in rows:
        shown.add_row(*_row(label, what, write, measured))
    print_table(shown)
    if measured.nfs:
        alone = median(measured.shim, "total_requests")
        out.print(f"  [dim]The shim alone, before the first import: {alone:.0f} requests.[/]")
        _print_operations(measured)
    warning = sorted({cost.warning for cost in measured.accelerated if cost.warning})
    for line in warning:
        out.print(f"[yellow]note:[/] {line}")
    if not warning and not all(cost.indexed for cost in measured.accelerated):
        out.print("[yellow]note:[/] nothing of the release itself was imported: there was nothing to accelerate.")


def _row(label: str, what: str, write: Any, measured: Comparison) -> tuple[str, str, str, str]:
    plain, accelerated = median(measured.plain, what), median(measured.accelerated, what)
    if what == "shim":
        return label, "", write(accelerated), ""
    return label, write(plain), write(accelerated), f"{accelerated / plain:.2f}" if plain else ""


def _print_operations(measured: Comparison) -> None:
    plain, accelerated = measured.plain[-1].requests, measured.accelerated[-1].requests
    shown = table("operation, last round", "plain", "accelerated", numbers=("plain", "accelerated"))
    for name in sorted({*plain, *accelerated}, key=lambda name: -plain.get(name, 0)):
        shown.add_row(name, str(plain.get(name, 0)), str(accelerated.get(name, 0)))
    out.print()
    print_table(shown)


def _seconds(number: float) -> str:
    return f"{number:.2f} s" if number >= 1 else f"{number * 1000:.1f} ms"
