"""Runs a step of an optimisation inside releases of dependencies: their packages, their interpreter, no others."""

import json
import os
import platform
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from efsprov.core.errors import BuildError, ModelError, UsageError
from efsprov.core.target import Target
from efsprov.pipeline.interpreter import Interpreter, find_interpreter
from efsprov.store.layout import Channel

_SCRIPT: Final = Path(__file__).parent / "in_release" / "work.py"
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "TZ")
# Times are measured on one thread: what several gain depends on how busy the machine is, and in a function on its memory.
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
_TAIL_LINES: Final = 12
_NOISE: Final = ("tensorflow/", "WARNING:", "I0000", "W0000", "E0000", "To enable the following instructions")


@dataclass(frozen=True)
class ReleaseTools:
    """Releases whose packages are used together, the first one first; ``channels`` is {channel: release}."""

    sites: tuple[Path, ...]
    channels: Mapping[str, str]
    interpreter: Interpreter
    timeout: float

    @classmethod
    def of(cls, chosen: Sequence[tuple[Channel, str]], *, timeout: float) -> "ReleaseTools":
        """Return the tools that releases of channels hold, which this machine can run.

        Raises ``UsageError`` for targets that do not go together, ``BuildError`` for one that does not run here.
        """
        targets = {Target.parse(channel.target) for channel, _ in chosen}
        versions = {target.python for target in targets}
        if len(versions) != 1:
            labels = ", ".join(channel.label for channel, _ in chosen)
            raise UsageError(
                f"These channels are for several Python versions: {labels}.", hint="Name channels of one runtime."
            )
        interpreter = find_interpreter(versions.pop())
        for target in targets:
            if target.arch != interpreter.arch:
                raise BuildError(
                    f"The release is for {target.arch}, this machine is {platform.machine()}.",
                    hint="Optimise on a machine of that architecture, or with a channel for this one.",
                )
        sites = tuple(channel.release_path(release) / channel.payload for channel, release in chosen)
        return cls(sites, {channel.name: release for channel, release in chosen}, interpreter, timeout)

    def run(self, request: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
        """Do what ``request`` says; ``scratch`` is an empty folder. Return the answer of the script in the release.

        Raises ``ModelError`` for what the user can change, ``BuildError`` when the step dies, with its last lines.
        """
        asked, answered, output = scratch / "request.json", scratch / "answer.json", scratch / "output"
        asked.write_text(json.dumps({**request, "sites": [str(site) for site in self.sites]}), "utf-8")
        command = [str(self.interpreter.path), "-I", "-S", "-B", str(_SCRIPT), str(asked), str(answered)]
        code = self._wait(command, scratch, output, _ONE_THREAD if request["do"] == "measure" else {})
        if code != 0 or not answered.exists():
            raise self._death(str(request["do"]), code, output.read_text("utf-8", "replace"))
        answer: dict[str, Any] = json.loads(answered.read_text("utf-8"))
        if "error" in answer:
            raise ModelError(f"{str(answer['error']).rstrip('.')}.", hint=f"Nothing was published. {self._label()}")
        return answer

    def _wait(self, command: list[str], scratch: Path, output: Path, more: Mapping[str, str]) -> int | None:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **more,
        }
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                return None
            finally:
                with suppress(ProcessLookupError):  # what it started goes with it
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _death(self, do: str, code: int | None, said: str) -> BuildError:
        lines = [line for line in said.splitlines() if line.strip() and not any(n in line for n in _NOISE)]
        if code is None:
            why, hint = f"it was not done after {self.timeout:g} seconds", "Give it longer with --timeout."
        elif code < 0:
            why = f"it was ended by {signal.Signals(-code).name}"
            hint = "Most likely this machine ran out of memory." if code == -signal.SIGKILL else ""
        else:
            why, hint = f"it left with exit code {code}", ""
        tail = "\n  ".join(lines[-_TAIL_LINES:])
        return BuildError(
            f"The step {do} failed in the release: {why}." + (f"\n  {tail}" if tail else ""),
            hint=f"{hint} Nothing was published. {self._label()}".strip(),
        )

    def _label(self) -> str:
        return f"Used: {', '.join(f'{name} {release}' for name, release in self.channels.items())}."
