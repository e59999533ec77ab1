"""Records a terminal session as docs/images/session.svg: the commands really run. usage: python docs/record_session.py"""

import io
import os
import re
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "images" / "session.svg"
COLUMNS = 128
IMPORT = (
    'python3.11 -c "import efsprov.bootstrap, tensorflow as tf; '
    'print(tf.__version__, tf.linalg.det(tf.constant([[1., 2.], [3., 4.]])).numpy())"'
)
COMMANDS = (
    "efsprov plan --framework tensorflow==2.15 --runtime python3.12",
    "efsprov sync --framework tensorflow==2.15",
    IMPORT,
    "efsprov sync --framework tensorflow==2.15.1",
    "efsprov rollback",
    "efsprov list",
)


def record(command: str, environment: dict[str, str]) -> str:
    """Run a command on a terminal of its own and return what it shows in the end, with its colours."""
    inner = f"stty cols {COLUMNS} rows 50 2>/dev/null; {command}"
    done = subprocess.run(
        ["script", "-qec", inner, "/dev/null"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    return final_screen(done.stdout.decode("utf-8", "replace"))


def final_screen(output: str) -> str:
    """Replay carriage returns, cursor-up and erase-line, as far as progress displays use them."""
    lines: list[str] = [""]
    row = 0
    for piece in re.split(r"(\r\n|\n|\r|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh])", output):
        if piece in {"\n", "\r\n"}:
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r" or piece.startswith("\x1b[?25"):
            continue
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif up := re.fullmatch(r"\x1b\[(\d*)A", piece):
            row = max(0, row - int(up[1] or 1))
        else:
            lines[row] = piece if not lines[row] else lines[row] + piece
    return "\n".join(lines).rstrip()


def main() -> None:
    """Record the commands in a new root and write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        environment = {
            **os.environ,
            "EFSPROV_ROOT": f"{folder}/efs",
            "EFSPROV_CHANNEL": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
        }
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(record(command, environment).replace(folder, "/mnt")), soft_wrap=False)
            console.print()
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="efsprov")
    PICTURE.write_text(re.sub(r"@font-face \{[^}]*\}", "", svg), "utf-8")  # no fonts from elsewhere


if __name__ == "__main__":
    main()
