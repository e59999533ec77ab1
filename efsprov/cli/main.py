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
from efsprov.store.fs.umask import admit_readers

# Each verb and the module that registers it. Only what the command line names is imported: all of them, with boto3 and
# paramiko, take a second, which a rollback should not wait for.
_VERBS: Final = {
    "sync": "sync",
    "plan": "plan",
    "status": "status",
    "list": "list",
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
    "bundle": "bundle",
    "model": "model.group",
    "layer": "layer",
    "attach": "attach",
    "detach": "attach",
    "builder": "builder",
    "iac": "iac",
    "reap": "reap",
    "doctor": "doctor",
}


# `efsprov --help` lists the verbs of a group together, a line each.
_LINES: Final = {
    "sync": ("Releases", "Install a framework, prove that it imports, make it current"),
    "plan": ("Releases", "Show what sync would do"),
    "status": ("Releases", "Show what is current, what is wrong, what to do next"),
    "list": ("Releases", "List channels and their releases"),
    "show": ("Releases", "Show one release"),
    "diff": ("Releases", "Compare two releases"),
    "history": ("Releases", "Show who did what, and when"),
    "activate": ("Releases", "Make a release current"),
    "rollback": ("Releases", "Go back to the release before"),
    "bench": ("Releases", "Measure what a release costs"),
    "verify": ("Root", "Check every file against its hash"),
    "prune": ("Root", "Remove old releases"),
    "mark-bad": ("Root", "Mark a release as bad"),
    "mark-good": ("Root", "Clear the bad mark"),
    "pin": ("Root", "Keep a release from pruning"),
    "unpin": ("Root", "Let prune decide again"),
    "init": ("Root", "Write a commented efsprov.toml"),
    "attach": ("Functions", "Give a function the file system, the shim, its variables"),
    "detach": ("Functions", "Take them away again"),
    "layer": ("Functions", "Make layers: of the shim, of a release that fits"),
    "doctor": ("Functions", "Find out what is wrong, and how to put it right"),
    "bundle": ("Releases", "Carry releases between roots, as OCI image layouts"),
    "model": ("Models", "Publish models, roll back, make them smaller"),
    "builder": ("Builders", "Deploy, remove and follow the Lambda builder"),
    "reap": ("Builders", "Remove what EC2 builders left behind"),
    "iac": ("Builders", "Print the IAM policies that a purpose needs"),
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
        import_module(f"efsprov.cli.verbs.{module}").register(app)
    for command in app.registered_commands:
        command.rich_help_panel, command.short_help = _LINES[command.name or ""]
    for group in app.registered_groups:
        group.rich_help_panel, group.short_help = _LINES[group.name or ""]

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
    return text if text.endswith((".", "?")) or not text else f"{text}."


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
