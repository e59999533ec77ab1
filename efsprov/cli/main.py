"""The `efsprov` command: its verbs, and the one place where a failure becomes a message and an exit code."""

import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Final

import typer
from typer.exceptions import TyperException

from efsprov.cli.config import load_defaults
from efsprov.cli.console import err, print_error
from efsprov.cli.options import ConfigFile, Version
from efsprov.core.errors import CancelledError, EfsprovError, UsageError
from efsprov.store.own_umask import admit_readers

# Each verb and the module that registers it. Only what the command line names is imported: all of them, with boto3 and
# paramiko, take a second, which a rollback should not wait for.
_VERBS: Final = {
    "sync": "sync",
    "plan": "plan",
    "list": "listing",
    "history": "history",
    "show": "show",
    "diff": "diff",
    "activate": "activate",
    "rollback": "rollback",
    "verify": "verify",
    "bench": "bench",
    "prune": "prune",
    "mark-bad": "mark",
    "mark-good": "mark",
    "pin": "mark",
    "unpin": "mark",
    "init": "init",
    "model": "model",
    "layer": "layer",
    "attach": "attach",
    "detach": "attach",
    "builder": "builder_function",
    "iac": "iac",
    "reap": "reap",
    "doctor": "doctor",
}


def command_line(verb: str = "") -> typer.Typer:
    """Return the command line with ``verb`` alone; with every verb where it names none."""
    app = typer.Typer(
        name="efsprov",
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Full TensorFlow, PyTorch and models for AWS Lambda, from EFS: built, proven, swapped atomically, rolled back.",
    )
    modules = [_VERBS[verb]] if verb in _VERBS else dict.fromkeys(_VERBS.values())
    for module in modules:
        import_module(f"efsprov.cli.{module}").register(app)

    @app.callback()
    def settings(context: typer.Context, config: ConfigFile = None, *, version: Version = False) -> None:
        del version  # answered while the options are read
        context.default_map = load_defaults(config, app)

    return app


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code; see docs/reference/exit-codes.md."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    admit_readers()
    signal.signal(signal.SIGTERM, _interrupt)  # a pipeline's time-out cleans up like Ctrl-C
    sys.exit(_run(arguments, as_json=as_json))


def _run(arguments: list[str], *, as_json: bool) -> int:
    try:
        app = command_line(next(iter(arguments), ""))
        code = app(arguments, prog_name="efsprov", standalone_mode=False)
    except EfsprovError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        if not (sentence := _sentence(error)):  # no arguments: the help was printed
            return UsageError.exit_code
        usage = UsageError(sentence, hint="`efsprov --help` and `efsprov COMMAND --help` list the options.")
        print_error(usage, as_json=as_json)
        return usage.exit_code
    except BrokenPipeError:  # `efsprov list | head`
        sys.stderr.close()
        return 0
    except typer.Abort:
        code = CancelledError.exit_code
    except Exception:
        from rich.traceback import install as pretty_tracebacks  # noqa: PLC0415 - costs 70 ms, for a bug alone

        pretty_tracebacks(console=err, show_locals=False)
        err.print("[bold red]efsprov:[/] this is a bug of efsprov; the root keeps its last whole release.")
        raise
    if code == CancelledError.exit_code:
        cancelled = CancelledError("Cancelled.", hint="The root is as it was; run the command again to go on.")
        print_error(cancelled, as_json=as_json)
    return int(code or 0)


def _sentence(error: TyperException) -> str:
    text = str(getattr(error, "format_message", error.__str__)()).strip()
    return text if text.endswith(".") or not text else f"{text}."


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
