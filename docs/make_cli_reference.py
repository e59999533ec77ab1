"""Writes docs/reference/cli.md from the command line itself. usage: python docs/make_cli_reference.py"""

import html
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent / "reference" / "cli.md"


def render() -> str:
    """Return the reference of all commands as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        page, module = Path(folder, "cli.md"), Path(folder, "command_line.py")
        module.write_text("from efsprov.cli.main import command_line\n\napp = command_line()\n", "utf-8")
        command = [
            sys.executable,
            "-m",
            "typer",
            module,
            "utils",
            "docs",
            "--name",
            "efsprov",
            "--output",
            page,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return html.unescape(page.read_text("utf-8")).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
