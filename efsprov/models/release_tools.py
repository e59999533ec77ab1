"""Runs a step of an optimisation inside releases of dependencies: their packages, their interpreter, no others."""

import json
import platform
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from efsprov.core.errors import BuildError, ModelError, UsageError
from efsprov.core.target import Target
from efsprov.pipeline.tools.box import box_kind
from efsprov.pipeline.tools.interpreter import Interpreter, find_interpreter
from efsprov.pipeline.tools.run_script import BoxedScript, run_boxed_script
from efsprov.store.layout import Channel

_SCRIPT: Final = Path(__file__).parent / "in_release" / "work.py"
_QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "2"}
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

    def run(self, request: Mapping[str, Any], scratch: Path, readable: Sequence[Path]) -> dict[str, Any]:
        """Do what ``request`` says; ``scratch`` is a folder for it, ``readable`` has what else the request names.

        It runs in a box, where the kernel gives one, else on private copies of the releases and of ``readable``: nothing
        on the root is within its reach. Return the answer of the script in the release. Raises ``ModelError`` for what
        the user can change, ``BuildError`` when the step dies, with its last lines.
        """
        kind, scratch = box_kind(), scratch.resolve()
        requested, answered = scratch / "request.json", scratch / "answer.json"
        text = json.dumps({**request, "sites": [str(site.resolve()) for site in self.sites]})
        given = tuple(path.resolve() for path in (*self.sites, *readable))
        with tempfile.TemporaryDirectory(prefix="efsprov-tools-") as folder:
            if kind != "namespaces":
                for number, path in enumerate(given):
                    copy = _private_copy(path, Path(folder).resolve() / str(number) / path.name)
                    text = text.replace(json.dumps(str(path))[1:-1], json.dumps(str(copy))[1:-1])
            requested.write_text(text, "utf-8")
            script = BoxedScript(
                _SCRIPT,
                (str(requested), str(answered)),
                home=scratch,
                readable=given,
                writable=(scratch,),
                variables=_QUIET | (_ONE_THREAD if request["do"] == "measure" else {}),
                seconds=self.timeout,
            )
            outcome = run_boxed_script(self.interpreter.path, script, kind=kind)
        if outcome.code != 0 or not answered.is_file():
            raise self._death(str(request["do"]), outcome.code, outcome.output)
        answer: dict[str, Any] = json.loads(answered.read_text("utf-8"))
        if "error" in answer:
            raise ModelError(f"{str(answer['error']).rstrip('.')}.", hint=f"Nothing was published. {self._label()}")
        return answer

    def _death(self, do: str, code: int | None, message: str) -> BuildError:
        lines = [line for line in message.splitlines() if line.strip() and not any(n in line for n in _NOISE)]
        if code is None:
            why, hint = f"it was not done after {self.timeout:g} seconds", "Give it longer with --timeout."
        elif code < 0:
            why = f"it was ended by {signal.Signals(-code).name}"
            hint = "Most likely this machine ran out of memory." if code == -signal.SIGKILL else ""
        else:
            why, hint = f"it exited with code {code}", ""
        tail = "\n  ".join(lines[-_TAIL_LINES:])
        return BuildError(
            f"The step {do} failed in the release: {why}." + (f"\n  {tail}" if tail else ""),
            hint=f"{hint} Nothing was published. {self._label()}".strip(),
        )

    def _label(self) -> str:
        return f"Used: {', '.join(f'{name} {release}' for name, release in self.channels.items())}."


def _private_copy(path: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True)
    return Path(shutil.copytree(path, to, symlinks=True) if path.is_dir() else shutil.copyfile(path, to))
