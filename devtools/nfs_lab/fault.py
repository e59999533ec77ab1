"""Faults of the NFS server that one operation sets off, by a library preloaded into it."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devtools.nfs_lab.errors import LabError

_SOURCE = Path(__file__).parent / "inside" / "fault.c"

Operation = Literal["RENAME", "LINK", "SYMLINK", "MKDIR", "REMOVE", "OPEN", "WRITE", "COMMIT"]
Action = Literal["die-before", "die-after", "cut-after", "errno"]


@dataclass(frozen=True)
class Fault:
    """What befalls the server at the ``nth`` operation of a kind (OPEN: of those that create).

    "die-before": killed, nothing executed. "die-after": executed, killed when about to reply. "cut-after": executed, all
    connections reset before the reply, the server alive. "errno": not executed, ``count`` in a row report the error
    number ``error``. A server that died is started again at once, without the fault.
    """

    operation: Operation
    action: Action = "die-after"
    nth: int = 1
    count: int = 1
    error: int = 0

    def environment(self, folder: Path) -> Mapping[str, str]:
        """The server's environment for it; builds the library into ``folder``. Raises LabError without a compiler."""
        library = folder / "fault.so"
        if not library.exists():
            argv = ["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
            try:
                subprocess.run(argv, check=True, capture_output=True, text=True)
            except FileNotFoundError as error:
                raise LabError("faults of the server need gcc and libc6-dev (`make lab-packages`)") from error
            except subprocess.CalledProcessError as error:
                raise LabError(f"gcc could not build {_SOURCE.name}: {error.stderr}") from error
        return {
            "LD_PRELOAD": str(library),
            "LAB_FAULT_OPERATION": self.operation,
            "LAB_FAULT_ACTION": self.action,
            "LAB_FAULT_NTH": str(self.nth),
            "LAB_FAULT_COUNT": str(self.count),
            "LAB_FAULT_ERRNO": str(self.error),
        }
