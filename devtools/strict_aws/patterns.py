"""The patterns of the service models, which are Java's, as Python's; and the character sets that the models say in words."""

import functools
import re
import sys
import unicodedata
from dataclasses import dataclass

_CLASSES = {"ASCII": r"\x00-\x7f", "Print": r"\x20-\x7e", "Graph": r"\x21-\x7e", "Alpha": "a-zA-Z", "Digit": "0-9"}
_TAGS = re.compile(r"<[^>]+>")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"'}
_LENGTH = re.compile(r"(?:[Uu]p to|[Mm]aximum of|[Mm]aximum) ([\d,]+) (?:ASCII |Unicode |UTF-8 )?characters")
_VALID = re.compile(r"(?:Allowed|Valid) characters(?: are|:) (?P<ranges>(?:\w-\w, )*)(?:spaces?, )?and (?P<rest>\S+)")
_START = re.compile(r"(?:May not begin with|Can(?:'|\u2019)t start with) ([\w:-]+)")


@functools.cache
def category(name: str) -> str:
    """The characters of a Unicode category ("L", "Nd"), as the inside of a character class."""
    ranges: list[list[int]] = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)).startswith(name):
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1][1] = point
            else:
                ranges.append([point, point])
    return "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ranges)


@functools.cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    r"""A model's pattern; None for what Python's has no words for (a range of surrogates).

    ``\p{L}`` becomes the category's characters, ``[\w-/]`` becomes ``[\w\-/]`` as Java takes it.
    """

    def words(found: re.Match[str]) -> str:
        inside = _CLASSES.get(found[1]) or category(found[1])
        before = pattern[: found.start()]
        in_class = before.count("[") - before.count("\\[") > before.count("]") - before.count("\\]")
        return inside if in_class else f"[{inside}]"

    text = re.sub(r"\\p\{(\w+)\}", words, pattern)
    text = re.sub(r"(\\[wds])-(?=[^\]])", r"\1\\-", text)
    try:
        return re.compile(text, re.ASCII)
    except re.error:
        return None


@dataclass(frozen=True)
class Words:
    """What a member's documentation asks of it: the most characters, those that it may have, how it may not begin."""

    longest: int | None = None
    allowed: re.Pattern[str] | None = None
    not_first: str = ""

    def broken_by(self, text: str) -> str:
        """Which of them a text breaks, in words; "" for none."""
        if self.longest is not None and len(text) > self.longest:
            return f"longer than {self.longest} characters"
        if self.allowed is not None and (wrong := sorted(set(self.allowed.sub("", text)))):
            return f"the characters {''.join(wrong)!r} are not among {self.allowed.pattern}"
        if self.not_first and text.lower().startswith(self.not_first):
            return f"may not begin with {self.not_first!r}"
        return ""


@functools.cache
def words_of(documentation: str) -> Words:
    """Read the constraints out of a member's documentation; only of what it says after "Constraints:"."""
    text = plain(documentation)
    response = re.split(r"Constraints?:", text, maxsplit=1)
    if len(response) == 1:
        return Words()
    constraints = response[1]
    length, valid, start = _LENGTH.search(constraints), _VALID.search(constraints), _START.search(constraints)
    allowed = None
    if valid:
        spaces = " " if "spaces" in valid[0] else ""
        ranges = valid["ranges"].replace(", ", "")
        allowed = re.compile(f"[{ranges}{spaces}{re.escape(valid['rest'].rstrip('.'))}]")
    return Words(int(length[1].replace(",", "")) if length else None, allowed, start[1].lower() if start else "")


def plain(documentation: str) -> str:
    """Documentation without its markup."""
    text = re.sub(r"\s+", " ", _TAGS.sub(" ", documentation or ""))
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text
