"""Names of channels and models: they become one folder's name on the root."""

import re

from efsprov.core.errors import UsageError

_FORM = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def check_channel_name(name: str, *, what: str = "channel") -> str:
    """Return ``name`` when it may name a channel; raises ``UsageError`` otherwise.

    1 to 64 characters: lower-case letters, digits, and '.', '_', '-' between them. So it is neither a path nor a hidden file,
    means the same in every locale, and fits twice into the 255 bytes that EFS gives a name.
    """
    if is_channel_name(name):
        return name
    shown = name if len(name) <= 40 else f"{name[:40]}... ({len(name)} characters)"
    raise UsageError(
        f"{shown!r} cannot name a {what}.",
        hint="Use 1 to 64 lower-case letters and digits, with '.', '_' or '-' between them: --channel tensorflow.",
    )


def is_channel_name(text: str) -> bool:
    """Tell whether ``text`` may name a channel or a model."""
    return _FORM.fullmatch(text) is not None
