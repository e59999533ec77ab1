"""A build that does what its request's notes say, behind the real remote side; run as a program on the host."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from efsprov.builders.remote.__main__ import main
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.errors import GateError, RootError
from efsprov.core.events import Emit, Event


def build(request: BuildRequest, *, emit: Emit) -> BuildResult:  # noqa: PLR0912 - one branch a word
    for note in request.notes:
        word, _, rest = note.partition(" ")
        if word == "events":
            for number in range(int(rest)):
                emit(Event(step="stage", state="note", message=f"event {number}"))
        elif word == "progress":
            for number in range(int(rest)):
                emit(Event(step="copy", state="progress", done=number, total=int(rest)))
        elif word == "say":
            emit(Event(step="stage", state="note", message=rest))
        elif word == "noise":
            subprocess.run(["sh", "-c", f"head -c {rest} /dev/zero | tr '\\0' 'x'"], check=True)
            sys.stderr.write("y" * int(rest))
            sys.stderr.flush()
        elif word == "long":
            emit(Event(step="stage", state="note", message="z" * int(rest)))
        elif word == "wait":
            while not Path(rest).exists():
                time.sleep(0.01)
        elif word == "environment":
            emit(Event(step="stage", state="note", message=os.environ.get(rest, "")))
        elif word == "child":
            subprocess.Popen(["sleep", rest])
        elif word == "die":
            os.kill(os.getpid(), getattr(signal, rest))
        elif word == "refuse":
            raise GateError("The wheel does not fit.", hint="Take another.")
        elif word == "fill":
            try:
                with Path(rest).open("wb", buffering=0) as file:
                    while True:
                        file.write(b"x" * 4096)
            except OSError as error:
                raise RootError(f"{rest}: {error.strerror}.", hint="Make room.") from error
        elif word == "full":
            raise RootError("No space left on device.", hint="Make room.")
        elif word == "bug":
            raise ZeroDivisionError("a bug")
        elif word == "mark":
            Path(rest).touch()
    return BuildResult(outcome="published", release="20261121T063000Z-3f2a9c1b", path=request.root, activated=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], load_build=lambda: build, program=(sys.executable, "-m", "tests.builders.standin")))
