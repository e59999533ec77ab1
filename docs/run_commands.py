"""Runs the commands of a documentation page, in order, as a reader would type them.

usage: python docs/run_commands.py PAGE.md [FOLDER]

Commands are the lines that begin with `$ ` in the page's ```console blocks (a line that ends with a backslash goes on
in the next). Each is printed and run by bash in FOLDER, a new temporary one by default; the first that fails ends the
run with its exit code. A command that stands after a line `# exit N` is expected to end with N.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """A command line of a page, and the exit code that the page says it has."""

    text: str
    exit_code: int


def commands_of(page: str) -> list[Command]:
    """Return the commands of a Markdown text, in order."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        expected = 0
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if match := re.fullmatch(r"# exit (\d+)", line):
                expected = int(match[1])
            elif line.startswith("$ "):
                found.append(Command(line[2:], expected))
                expected = 0
    return found


def run(page: Path, folder: Path) -> int:
    """Run a page's commands in a folder; return the exit code of the first that does not end as the page says, or 0."""
    for command in commands_of(page.read_text("utf-8")):
        print(f"\n\033[1m$ {command.text}\033[0m" if sys.stdout.isatty() else f"\n$ {command.text}", flush=True)
        code = subprocess.run(["bash", "-c", command.text], cwd=folder, check=False).returncode
        if code != command.exit_code:
            print(f"run_commands: exit code {code} instead of {command.exit_code}: {command.text}", file=sys.stderr)
            return code or 1
    return 0


def main() -> None:
    """Run the page that the command line names."""
    page = Path(sys.argv[1]).resolve()
    if len(sys.argv) > 2:
        sys.exit(run(page, Path(sys.argv[2])))
    with tempfile.TemporaryDirectory(prefix="efsprov-demo-") as folder:
        sys.exit(run(page, Path(folder)))


if __name__ == "__main__":
    main()
