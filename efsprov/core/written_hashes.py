"""The ways in which a requirement can pin a hash: `--hash=ALGORITHM:HEX` behind it, and `#sha256=HEX` at its URL's end."""

import re
from collections.abc import Sequence
from typing import Final

from packaging.requirements import Requirement

from efsprov.core.errors import UsageError
from efsprov.core.masking import mask
from efsprov.core.urls import split_url

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}


def allowed_hashes(written: Sequence[str], place: str) -> tuple[str, ...]:
    """Return the SHA-256, in hex, of what a line at ``place`` allows.

    Raises ``UsageError`` for what is not a hash, and where all hashes are of another kind: locks hold SHA-256.
    """
    found = []
    for text in written:
        algorithm, _, value = text.partition(":")
        value = value.strip().lower()
        if algorithm not in _LENGTHS or not re.fullmatch(rf"[0-9a-f]{{{_LENGTHS[algorithm]}}}", value):
            raise UsageError(
                f"{place}: {text!r} is not a hash.",
                hint="A hash looks like --hash=sha256:0123...; it has 64 hex digits.",
            )
        found.append((algorithm, value))
    allowed = tuple(value for algorithm, value in found if algorithm == "sha256")
    if found and not allowed:
        raise UsageError(
            f"{place}: the only hashes are of {found[0][0]}, and locks hold SHA-256.",
            hint="Add --hash=sha256:...; `pip hash FILE` prints it.",
        )
    return allowed


def url_hash(text: str) -> str | None:
    """Return the SHA-256 that the URL of a requirement ends with (`#sha256=...`), None where it has none.

    Raises ``UsageError`` for a hash of another kind, or of another form.
    """
    url = Requirement(text).url or ""
    for part in split_url(url).fragment.split("&"):
        algorithm, equals, value = part.partition("=")
        if equals and algorithm in {*_LENGTHS, "md5", "sha1", "sha224"}:
            if algorithm != "sha256" or not _SHA256.fullmatch(value.lower()):
                raise UsageError(
                    f"{mask(text)!r} does not end with a SHA-256.", hint="Write #sha256=0123... (64 digits)."
                )
            return value.lower()
    return None
