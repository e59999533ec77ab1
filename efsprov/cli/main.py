"""The `efsprov` command: its verbs, and the one place where a failure becomes a message and an exit code."""

import signal
import sys
from types import FrameType

import typer
from rich.traceback import install as pretty_tracebacks
from typer.exceptions import TyperException

from efsprov.cli import (
    activate,
    attach,
    bench,
    builder_function,
    diff,
    doctor,
    history,
    iac,
    init,
    layer,
    listing,
    mark,
    model,
    plan,
    prune,
    reap,
    rollback,
    show,
    sync,
    verify,
)
from efsprov.cli.config import load_defaults
from efsprov.cli.console import err, print_error
from efsprov.cli.options import ConfigFile, Version
from efsprov.core.errors import CancelledError, EfsprovError, UsageError

app = typer.Typer(
    name="efsprov",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Full TensorFlow, PyTorch and models for AWS Lambda, from EFS: built, proven, swapped atomically, rolled back.",
)

_VERBS = (
    sync,
    plan,
    listing,
    history,
    show,
    diff,
    activate,
    rollback,
    verify,
    bench,
    prune,
    mark,
    init,
    model,
    layer,
    attach,
    builder_function,
    iac,
    reap,
    doctor,
)
for _verb in _VERBS:
    _verb.register(app)


@app.callback()
def _settings(context: typer.Context, config: ConfigFile = None, *, version: Version = False) -> None:
    del version  # answered while the options are read
    context.default_map = load_defaults(config, app)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code; see docs/reference/exit-codes.md."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, _interrupt)  # a pipeline's time-out cleans up like Ctrl-C
    sys.exit(_run(arguments, as_json=as_json))


def _run(arguments: list[str], *, as_json: bool) -> int:
    try:
        code = app(arguments, prog_name="efsprov", standalone_mode=False)
    except EfsprovError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        usage = UsageError(
            f"{_sentence(error)}", hint="`efsprov --help` and `efsprov COMMAND --help` list the options."
        )
        print_error(usage, as_json=as_json)
        return usage.exit_code
    except BrokenPipeError:  # `efsprov list | head`
        sys.stderr.close()
        return 0
    except typer.Abort:
        code = CancelledError.exit_code
    except Exception:
        pretty_tracebacks(console=err, show_locals=False)
        err.print("[bold red]efsprov:[/] this is a bug of efsprov; the root keeps its last whole release.")
        raise
    if code == CancelledError.exit_code:
        cancelled = CancelledError("Cancelled.", hint="The root is as it was; run the command again to go on.")
        print_error(cancelled, as_json=as_json)
    return int(code or 0)


def _sentence(error: TyperException) -> str:
    text = str(getattr(error, "format_message", error.__str__)()).strip()
    return text if text.endswith(".") else f"{text}."


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
