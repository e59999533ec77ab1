"""Runs a script of efsprov's in another interpreter: one way to start it, with a clean environment, in a box or not.

The interpreter is isolated (`-I`), does not import `site` (`-S`) and writes no bytecode (`-B`): what it imports is the standard
library, and what the script puts on `sys.path` itself.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from efsprov.pipeline.tools.box import BoxedCommand, Kind, Outcome, run_boxed
from efsprov.pipeline.tools.interpreter import interpreter_needs

# What an interpreter may need in order to start at all: Lambda's finds its libpython by LD_LIBRARY_PATH.
KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "TZ")
_FLAGS: Final = ("-I", "-S", "-B")


@dataclass(frozen=True)
class Finished:
    """How a script ended: its exit code, and what it wrote."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def last_line(self) -> str:
        """The last line of the error output, which has the exception of a traceback."""
        return (self.stderr.strip().splitlines() or [f"it ended with {self.code}"])[-1]


@dataclass(frozen=True)
class BoxedScript:
    """A script for the box. ``readable`` and ``writable`` are what it needs besides itself and its interpreter.

    ``flags`` are more flags of the interpreter, ``variables`` more variables than `clean_environment` has; ``seconds`` is
    what it may take.
    """

    path: Path
    arguments: tuple[str, ...]
    home: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    seconds: float = 900


def clean_environment(home: Path | str) -> dict[str, str]:
    """Return what a script may know of this machine: how to start, and an empty folder for whatever wants one."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}


def script_command(python: Path, script: Path, arguments: Sequence[str | Path]) -> list[str]:
    """Return the command line that runs a script."""
    return [str(word) for word in (python, *_FLAGS, script, *arguments)]


def run_script(
    python: Path,
    script: Path,
    arguments: Sequence[str | Path],
    *,
    given: bytes = b"",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a script that executes nobody else's code; ``given`` is its input. Without ``environment`` it has this process's."""
    command = script_command(python, script, arguments)
    done = subprocess.run(command, input=given, capture_output=True, check=False, cwd=cwd, env=environment)
    return Finished(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def run_boxed_script(python: Path, script: BoxedScript, *, kind: Kind | None = None) -> Outcome:
    """Run a script that executes others' code, in a box (see `box`); raises ``BuildError`` where ``python`` does not start."""
    needs = interpreter_needs(python)
    return run_boxed(
        BoxedCommand(
            (str(needs.executable), *_FLAGS, *script.flags, str(script.path), *script.arguments),
            cwd=script.home,
            readable=(script.path.parent, *script.readable, *needs.folders),
            writable=script.writable,
            environment={**clean_environment(script.home), **script.variables},
            seconds=script.seconds,
        ),
        kind=kind,
    )
