"""Runs the commands of a documentation page, in order, in one shell, as a reader would type them.

usage: python docs/run_commands.py PAGE.md

Commands are the lines that begin with `$ ` in the page's ```console blocks (a line that ends with a backslash goes on
in the next). Each is printed before it runs; the first that fails ends the run with its exit code. A command after a
line `# exit N` is expected to end with N.
"""

import re
import shlex
import subprocess
import sys
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


def script_of(commands: list[Command]) -> str:
    """Return a bash script that shows and runs the commands and stops at the first that ends otherwise than expected."""
    lines = []
    for text, exit_code in commands:
        lines += [f"printf '\\n\\033[1m$ %s\\033[0m\\n' {shlex.quote(text)}", text, "code=$?"]
        complaint = f"echo 'run_commands: it ended with' $code 'instead of {exit_code}' >&2"
        lines.append(f'[ "$code" = {exit_code} ] || {{ {complaint}; exit "$((code ? code : 1))"; }}')
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the page that the command line names."""
    script = script_of(commands_of(Path(sys.argv[1]).read_text("utf-8")))
    sys.exit(subprocess.run(["bash", "-c", script], check=False).returncode)


if __name__ == "__main__":
    main()
