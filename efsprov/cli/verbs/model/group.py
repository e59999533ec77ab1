"""`efsprov model ...`: models are released, activated, rolled back, verified and pruned as dependencies are."""

import typer

from efsprov.cli.aws_options import DryRun
from efsprov.cli.options import Json, OptionalReleaseId, ReleaseId
from efsprov.cli.verbs.activate import activate_in
from efsprov.cli.verbs.history import Limit, history_of
from efsprov.cli.verbs.mark import MARKS, Damaged, Note, mark_in, with_damage
from efsprov.cli.verbs.model import optimize as model_optimize
from efsprov.cli.verbs.model import push as model_push
from efsprov.cli.verbs.model import show as model_show
from efsprov.cli.verbs.model.options import ModelName, ModelRoot, chosen_model
from efsprov.cli.verbs.prune import GraceHours, KeepLast, NoWait, prune_in
from efsprov.cli.verbs.rollback import BadReason, GoTo, rollback_in
from efsprov.cli.verbs.verify import Quick, Repair, verify_in
from efsprov.core.history import Action

models = typer.Typer(
    name="model",
    no_args_is_help=True,
    help="Publish models, make one current, roll back, verify, prune, make them smaller.",
)


def register(app: typer.Typer) -> None:
    """Add the group of verbs."""
    app.add_typer(models, name="model")


def _activate(root: ModelRoot, name: ModelName, release: ReleaseId, *, as_json: Json = False) -> None:
    """Make a release of a model current, in one atomic step."""
    with chosen_model(root, name, writing=True) as chosen:
        activate_in(chosen, release, as_json=as_json)


def _rollback(
    root: ModelRoot, name: ModelName, to: GoTo = None, reason: BadReason = None, *, as_json: Json = False
) -> None:
    """Go back to the release of a model that was active before this one, in one atomic step."""
    with chosen_model(root, name, writing=True) as chosen:
        rollback_in(chosen, to=to, reason=reason, as_json=as_json)


def _verify(
    root: ModelRoot,
    name: ModelName,
    release: OptionalReleaseId = None,
    *,
    quick: Quick = False,
    repair: Repair = False,
    as_json: Json = False,
) -> None:
    """Check a model and its releases (or one release): every file against its SHA-256."""
    with chosen_model(root, name, writing=repair) as chosen:
        verify_in(chosen, release, quick=quick, repair=repair, as_json=as_json)


def _prune(
    root: ModelRoot,
    name: ModelName,
    *,
    keep_last: KeepLast = 5,
    grace_hours: GraceHours = 72,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Remove old releases of a model: never the current, the previous, a pinned one, the last N, or one in use lately."""
    with chosen_model(root, name, writing=not dry_run) as chosen:
        prune_in(
            chosen, keep_last=keep_last, grace_hours=grace_hours, dry_run=dry_run, wait=not no_wait, as_json=as_json
        )


def _history(root: ModelRoot, name: ModelName, limit: Limit = 50, *, as_json: Json = False) -> None:
    """Show who did what to a model, and when; the newest last."""
    with chosen_model(root, name) as chosen:
        history_of(chosen, limit=limit, as_json=as_json)


def _mark_bad(
    root: ModelRoot,
    name: ModelName,
    release: ReleaseId,
    note: Note = "",
    *,
    damaged: Damaged = False,
    as_json: Json = False,
) -> None:
    with chosen_model(root, name, writing=True) as chosen:
        mark_in(chosen, "mark-bad", release, note=with_damage(note, damaged=damaged), as_json=as_json)


def _add_mark(do: Action) -> None:
    def verb(root: ModelRoot, name: ModelName, release: ReleaseId, note: Note = "", *, as_json: Json = False) -> None:
        with chosen_model(root, name, writing=True) as chosen:
            mark_in(chosen, do, release, note=note, as_json=as_json)

    models.command(do, help=MARKS[do].help)(verb)


model_push.register(models)
model_show.register(models)
model_optimize.register(models)
models.command("activate")(_activate)
models.command("rollback")(_rollback)
models.command("verify")(_verify)
models.command("prune")(_prune)
models.command("history")(_history)
models.command("mark-bad", help=MARKS["mark-bad"].help)(_mark_bad)
for _do in MARKS:
    if _do != "mark-bad":  # which says more
        _add_mark(_do)
