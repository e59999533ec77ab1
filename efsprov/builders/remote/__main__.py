"""`python -m efsprov.builders.remote COMMAND`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from efsprov.builders.remote import commands, wire
from efsprov.builders.remote.work import Build, work
from efsprov.core.errors import EfsprovError

_OWN_PROGRAM = (sys.executable, "-I", "-m", "efsprov.builders.remote")


def _load_build() -> Build:
    # Only the process that builds pays for these.
    from efsprov.pipeline.run import build  # noqa: PLC0415
    from efsprov.store.fs.umask import admit_readers  # noqa: PLC0415

    admit_readers()
    return build


def main(
    arguments: Sequence[str], *, load_build: Callable[[], Build] = _load_build, program: Sequence[str] = _OWN_PROGRAM
) -> int:
    """Run one command and return its exit code; a failure is one line of JSON on stdout.

    ``program`` is how this program is started once more, for the parts that run on their own.
    """
    command, *rest = arguments
    try:
        if command == "start":
            commands.start(sys.stdin.buffer.read(), program)
        elif command == "attach":
            run, after, *lease = rest
            commands.attach(run, after=int(after), lease=Path(lease[0]) if lease else None)
        elif command == "cancel":
            commands.cancel(rest[0])
        elif command == "remove":
            commands.remove(rest[0])
        elif command == "supervise":
            commands.supervise_run(rest[0], program)
        elif command == "work":
            return work(load_build)
        else:
            return 2
    except EfsprovError as error:
        sys.stdout.buffer.write(wire.Line(0, "error", wire.error_body(error)).dump())
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
