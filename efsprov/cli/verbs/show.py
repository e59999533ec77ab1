"""`efsprov show`: one release, whole."""

from dataclasses import asdict, replace

import typer

from efsprov.cli.console import duration, out, print_json, print_table, size, table
from efsprov.cli.options import Arch, ChannelName, Json, OptionalReleaseId, RootDirectory, Runtime
from efsprov.cli.select import select_channel, select_release
from efsprov.cli.verbs.list import describe_release, of_journal
from efsprov.core.manifest import Manifest, Smoke
from efsprov.core.wording import pluralize
from efsprov.pipeline.imports.import_index import ImportFigures, read_figures
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.verify import read_manifest


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("show")(show)


def show(
    root: RootDirectory,
    release: OptionalReleaseId = None,
    channel: ChannelName = None,
    runtime: Runtime = None,
    arch: Arch = None,
    *,
    as_json: Json = False,
) -> None:
    """Show one release (the current one by default): what it was made from, by whom, and what is in it."""
    chosen = select_channel(root, channel, runtime, arch)
    state = read_state(chosen)
    named = select_release(chosen, state, "current" if release is None else release)
    manifest = read_manifest(chosen, named)
    remarks = describe_release(chosen, state, state.releases[named])
    figures = _measured(read_figures(chosen.release_path(named)), manifest.smoke)
    if as_json:
        cost = {**asdict(figures), "touched_bytes": figures.touched_bytes} if figures else None
        path = str(chosen.release_path(named))
        print_json({"path": path, **of_journal(remarks), "import": cost, "manifest": manifest.model_dump(mode="json")})
        return
    words = [word for word in ("current", "previous", "pinned") if remarks[word]]
    words += [f"[red]bad[/] {remarks['bad_note']}".strip()] if remarks["bad"] else []
    out.print(f"[bold]{named}[/]  {chosen.label}" + (f"  ({', '.join(words)})" if words else ""))
    for name, text in _facts(chosen, manifest, figures):
        out.print(f"  [dim]{name:<13}[/] {text}")
    shown = table("package", "version", "size", "wheel", numbers=("size",))
    for each in sorted(manifest.distributions, key=lambda d: -d.installed_size):
        shown.add_row(each.name, each.version, size(each.installed_size), each.wheel)
    out.print()
    print_table(shown)


def _measured(figures: ImportFigures | None, smoke: Smoke) -> ImportFigures | None:
    """Return the index's figures with what the builder measured; indexes of before have that themselves."""
    if figures is None or not smoke.peak_bytes:
        return figures
    return replace(
        figures,
        peak_bytes=smoke.peak_bytes,
        microseconds=round(smoke.seconds * 1e6),
        cpu_microseconds=round(smoke.cpu_seconds * 1e6),
    )


def _facts(channel: Channel, manifest: Manifest, cost: ImportFigures | None) -> list[tuple[str, str]]:
    figures, smoke, builder = manifest.figures, manifest.smoke, manifest.builder
    tested = (
        f"left out: {smoke.left_out}"
        if smoke.left_out
        else f"import {', '.join(smoke.imports)} with {smoke.python}: {pluralize(smoke.modules, 'module')} in {duration(smoke.seconds)}"
    )
    facts = [
        ("requirements", ", ".join(manifest.requirements)),
        ("path", str(channel.release_path(manifest.id))),
        ("created", f"{manifest.created:%Y-%m-%d %H:%M:%S} UTC"),
        ("builder", f"{builder.kind} on {builder.host}, {builder.python}, efsprov {builder.efsprov}"),
        ("lock", manifest.lock_digest),
        ("smoke test", tested),
        *zip(("import", ""), _import_cost(cost), strict=False),
        ("size", f"{size(figures.bytes)} in {pluralize(figures.files, 'file')}"),
    ]
    if figures.linked_files:
        facts.append(
            ("linked", f"{size(figures.linked_bytes)} in {pluralize(figures.linked_files, 'file')} of earlier releases")
        )
    if manifest.left_out:
        result = ", ".join(f"{rule} {size(saved)}" for rule, saved in manifest.left_out.items())
        facts.append(("left out", result))
    if figures.seconds:
        facts.append(("took", ", ".join(f"{step} {duration(seconds)}" for step, seconds in figures.seconds.items())))
    facts += [("note", note) for note in manifest.notes]
    return facts


def _import_cost(cost: ImportFigures | None) -> list[str]:
    """What an import of the release costs, from what the build recorded."""
    if cost is None:
        return ["not accelerated: it has no index that this efsprov can read"]
    if not cost.microseconds:
        return [f"{pluralize(cost.modules, 'module')} indexed; what an import uses was not recorded"]
    touched = f"uses {size(cost.hot_bytes)} of bytecode in {pluralize(cost.hot_modules, 'module')}"
    if cost.library_bytes:
        touched += f" and {size(cost.library_bytes)} of shared libraries"
    used = f"{duration(cost.cpu_microseconds / 1e6)} of CPU and {size(cost.peak_bytes)} of memory"
    return [
        f"{touched}: read ahead in {pluralize(cost.planned_reads, 'read')} of {size(cost.planned_bytes)}",
        f"took the builder {duration(cost.microseconds / 1e6)}, {used}; `efsprov bench import` measures it here",
    ]
