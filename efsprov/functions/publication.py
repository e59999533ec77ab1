"""What becomes of a function's published versions when it is changed: decided from its aliases alone."""

from collections.abc import Sequence

from efsprov.aws.aliases import Alias
from efsprov.core.errors import ConflictError, NotFoundError, UsageError
from efsprov.core.wording import join

_LATEST = "$LATEST"


def check_publication(aliases: Sequence[Alias], function: str, *, publish: bool, alias: str | None) -> None:
    """Raise ``UsageError``, ``NotFoundError`` or ``ConflictError`` where ``alias`` cannot lead to a version to be published."""
    if alias is None:
        return
    if not publish:
        raise UsageError("--alias leads to a version that is published.", hint="Use --publish with it.")
    found = next((each for each in aliases if each.name == alias), None)
    if found is None:
        names = join([each.name for each in aliases]) or "none"
        raise NotFoundError(
            f"Function {function} has no alias {alias}: it has {names}.",
            hint=f"`aws lambda create-alias --function-name {function} --name {alias} --function-version VERSION` makes one.",
        )
    if found.shared:
        raise ConflictError(
            f"The alias {alias} of function {function} shares its traffic between two versions: a deployment is under way.",
            hint="Run the command again when it is over. Nothing was changed.",
        )


def stale_aliases(aliases: Sequence[Alias], function: str, moved: str | None) -> tuple[str, ...]:
    """Return a note on the aliases that keep what the function was before; () where there are none."""
    left = [each for each in aliases if each.version != _LATEST and each.name != moved]
    if not left:
        return ()
    names = join([f"{each.name} (version {each.version})" for each in left])
    note = f"{names}: what is published stays as it was. `--publish --alias {left[0].name}` publishes a version of function {function} and has that alias lead there."
    return (note,)
