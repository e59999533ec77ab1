"""Numbers, lists and signals in sentences for people."""

import signal
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def pluralize(number: int, noun: str) -> str:
    """Return ``number`` with its noun in the right form: ``1 wheel``, ``2 wheels``, ``3 libraries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("ry") else f"{number} {noun}s"


def join(words: Sequence[str], last: str = "and") -> str:
    """Write words as a list in a sentence: `3.9, 3.10 and 3.11`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names what ``word`` was probably meant to be, with a space at its end; "" where nothing is near."""
    near = get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"Did you mean {join(near, 'or')}? " if near else ""


def signal_name(number: int) -> str:
    """Return a signal's name, `SIGKILL`; real-time signals have numbers alone (signal(7))."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def printable(text: str) -> str:
    """Return ``text`` with what a terminal would act on made visible: escape sequences, bells, directions of text."""
    return "".join(
        c if c in "\n\t" or _is_plain(c) else f"\\x{ord(c):02x}" if ord(c) < 0x100 else f"\\u{ord(c):04x}" for c in text
    )


def _is_plain(character: str) -> bool:
    """Tell whether a character only draws itself (Unicode categories Cc, Cf and Cs do not)."""
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
