"""What a run has made so far, on disk before it is made: what another process needs to find it and to end it."""

import json
import os
import platform
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from efsprov.core.errors import BuilderError
from efsprov.core.frozen import Frozen

FORMAT: Final = 1


class Process(Frozen):
    """A process, distinguished from a later one of the same number: by the machine's boot and the process's start in it."""

    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def own(cls) -> "Process":
        """Return this process."""
        return cls(host=platform.node(), boot=_boot_id(), pid=os.getpid(), started=_start_of(os.getpid()))

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == platform.node()

    @property
    def alive(self) -> bool:
        """Whether it still runs; of a process of another machine that is not known, and taken for true."""
        if not self.here:
            return True
        return self.boot == _boot_id() and self.started == _start_of(self.pid) != ""


class Attempt(BaseModel):
    """One place that an instance was asked for in, with the client token of the request and how it was refused, if so."""

    token: str
    instance_type: str
    subnet: str
    refused: str = ""


class RunRecord(BaseModel):
    """One run. Written before and after each call that makes something; removed when nothing of the run is left."""

    format: int = FORMAT
    run: str
    region: str
    account: str
    profile: str | None = None
    process: Process
    created: AwareDatetime
    expires: AwareDatetime
    attempts: list[Attempt] = Field(default_factory=list)
    key_pair: str = ""
    group: str = ""
    instance: str = ""
    kept: bool = False

    def save(self) -> None:
        """Write the record, whole or not at all."""
        path = self.path
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(_private(temporary), "w") as file:
                file.write(self.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError as error:
            raise BuilderError(
                f"{path} cannot be written: {error.strerror}. Nothing is launched without a record of it.",
                hint="XDG_STATE_HOME names another folder for it.",
            ) from error

    def remove(self) -> None:
        """Forget the run."""
        self.path.unlink(missing_ok=True)
        self.key_file.unlink(missing_ok=True)

    @property
    def unanswered(self) -> bool:
        """Whether an instance may have been launched of which no answer has reported."""
        return not self.instance and any(not attempt.refused for attempt in self.attempts)

    @property
    def path(self) -> Path:
        """Where the record is."""
        return records_folder() / f"{self.run}.json"

    @property
    def key_file(self) -> Path:
        """Where the private key is put, 0600, when the instance is kept for debugging; nowhere else is it on disk."""
        return records_folder() / f"{self.run}.pem"

    def write_key(self, private: str) -> Path:
        """Put the private key on disk for its owner alone, and return where."""
        with os.fdopen(_private(self.key_file), "w") as file:
            file.write(private)
        return self.key_file


def read_records() -> tuple[RunRecord, ...]:
    """Return the records of this user's runs on this machine, oldest first; one that cannot be read is passed over."""
    found = []
    for path in sorted(records_folder().glob("*.json")):
        try:
            found.append(RunRecord.model_validate(json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, ValidationError):
            continue  # its resources carry their expiry as a tag
    return tuple(sorted(found, key=lambda record: record.created))


def records_folder() -> Path:
    """Return the folder of the records."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "efsprov" / "ec2"


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    try:
        # the name in parentheses may hold anything; the start time is the 20th field after it
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def expiry(created: datetime, minutes: int) -> datetime:
    """Return the time from which what a run has made is a leftover: half an hour after its instance has powered off."""
    return created + timedelta(minutes=minutes + 45)
