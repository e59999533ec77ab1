"""`efsprov model push` that keeps writing down how much memory it takes, so that it is known of a killed one, too.

usage: python push_measured.py PEAK_FILE ARGUMENT...
"""

import sys
import threading
from pathlib import Path

from efsprov.cli.main import main


def keep_peak(file: Path, stop: threading.Event) -> None:
    """Write the peak of the resident set, in kB, to ``file`` ten times a second."""
    beside = file.with_suffix(".new")
    while True:
        status = Path("/proc/self/status").read_text("ascii")
        beside.write_text(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
        beside.replace(file)  # in one step: a kill must not leave it empty
        if stop.wait(0.1):
            return


if __name__ == "__main__":
    done = threading.Event()
    watcher = threading.Thread(target=keep_peak, args=(Path(sys.argv[1]), done))
    watcher.start()
    try:
        main(["model", "push", *sys.argv[2:]])
    finally:
        done.set()
        watcher.join()
