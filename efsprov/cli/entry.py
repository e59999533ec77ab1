"""What the program `efsprov` starts: output that any terminal takes, and its version without loading the rest."""

import codecs
import sys
from typing import Final

_WORDS: Final = {"✓": "OK", "→": "->", "…": "...", "━": "-", "╸": "-", "╺": "-"}


def main() -> None:
    """Run one command and leave with its exit code."""
    speak_any_encoding()
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version  # noqa: PLC0415 - the rest takes three times as long to import as this

        sys.stdout.write(f"efsprov {version('efsprov')}\n")
        return
    from efsprov.cli.main import main as run  # noqa: PLC0415 - see above

    run()


def speak_any_encoding() -> None:
    """Have stdout and stderr write something for every character: a Latin-1 terminal has no tick, and a name may have any."""
    codecs.register_error("efsprov", _in_plain_words)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" or stream is sys.stderr:
            stream.reconfigure(errors="efsprov")  # type: ignore[union-attr]


def _in_plain_words(error: UnicodeError) -> tuple[str, int]:
    """An error handler (documentation of `codecs.register_error`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_WORDS.get(letter, "?") for letter in lost), error.end
