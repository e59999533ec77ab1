"""URLs as people and packages write them."""

from urllib.parse import SplitResult, urlsplit

from efsprov.core.errors import UsageError
from efsprov.core.masking import mask


def split_url(text: str, place: str = "") -> SplitResult:
    """Take a URL or a path apart, which was written at ``place``; raises ``UsageError`` for what `urlsplit` raises ``ValueError`` for.

    That is a bracket without its other half, an address within brackets that is none, and a host that normalises to
    another URL (CVE-2019-9636).
    """
    try:
        return urlsplit(text)
    except ValueError as error:
        raise UsageError(
            f"{place}{place and ': '}{mask(text)!r} is not a URL: {error}.",
            hint="Write `[` and `]` in a path as %5B and %5D.",
        ) from error
