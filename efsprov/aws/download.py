"""Objects of S3 into files, in ranges that come side by side and need not come twice."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import IncompleteReadError, ResponseStreamingError

from efsprov.aws.errors import code_of
from efsprov.aws.object_refusals import REQUESTER, explain_refusal
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, FetchError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART: Final = 16 << 20
_CHUNK: Final = 1 << 20
CHANGED: Final = frozenset({"PreconditionFailed", "412", "NoSuchKey", "NoSuchVersion", "404", "InvalidRange", "416"})
_PIN: Final = "pinned.json"
_DONE: Final = "done"


@dataclass(frozen=True)
class PinnedObject:
    """An object as it was when it was looked at; ``path`` is where its file goes, ``size`` in bytes."""

    key: str
    path: str
    size: int
    etag: str
    version: str | None = None

    @property
    def pin(self) -> dict[str, Any]:
        """What makes a request fail when the object is another one by now."""
        return {"VersionId": self.version} if self.version else {"IfMatch": f'"{self.etag}"'}


@dataclass(frozen=True)
class Bucket:
    """Where objects lie, and how it is asked; ``pays`` where whoever asks pays for it."""

    aws: Aws
    client: "S3Client"
    name: str
    pays: bool = False

    @property
    def payer(self) -> Mapping[str, Any]:
        """What each request says where its sender pays."""
        return REQUESTER if self.pays else {}

    def changed(self, each: PinnedObject) -> FetchError:
        """Say that an object is not what it was when it was pinned."""
        return FetchError(
            f"s3://{self.name}/{each.key} changed while it was copied: it was replaced or deleted.",
            hint="Nothing was published. Push again when the upload is over.",
        )


@dataclass(frozen=True)
class _Part:
    number: int
    of: PinnedObject
    start: int
    length: int


class Download:
    """Brings ``pinned`` objects of ``bucket`` into the folder ``into``.

    What arrived is noted in ``notes``, part by part, together with what the objects are: a second try takes the rest
    when they are still the same and this machine has not booted since (files that the kernel had not written by then
    would be holes), and starts again otherwise.
    """

    def __init__(
        self,
        bucket: "Bucket",
        pinned: Sequence[PinnedObject],
        *,
        into: Path,
        notes: Path,
        part: int = PART,
        threads: int = 8,
    ) -> None:
        self._bucket, self._pinned = bucket, pinned
        self._into, self._notes, self._part, self._threads = into, notes, part, threads
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._arrived = 0

    def run(self, progress: Callable[[int, int], None]) -> None:
        """Bring what is missing; ``progress`` is told bytes, first those of earlier tries.

        Raises ``FetchError`` or ``AwsError``.
        """
        done = self._recall()
        total = sum(each.size for each in self._pinned)
        parts = list(self._parts())
        self._arrived = sum(part.length for part in parts if part.number in done)
        for each in self._pinned:
            self._make_file(each)
        progress(self._arrived, total)
        missing = [part for part in parts if part.number not in done]
        with (self._notes / _DONE).open("a") as noted, ThreadPoolExecutor(self._threads) as pool:
            try:
                running = {pool.submit(self._bring, part, noted) for part in missing}
                while running:
                    finished, running = wait(running, timeout=0.2, return_when=FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    progress(self._arrived, total)
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def forget(self) -> None:
        """Let the next try start again."""
        (self._notes / _PIN).unlink(missing_ok=True)

    def _recall(self) -> set[int]:
        pin = {
            "boot": Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            "part": self._part,
            "bucket": self._bucket.name,
            "objects": [asdict(each) for each in self._pinned],
        }
        noted = self._notes / _PIN
        if noted.exists() and json.loads(noted.read_text("utf-8")) == pin:
            return {int(line) for line in (self._notes / _DONE).read_text("ascii").split("\n")[:-1]}
        for folder, _, names in os.walk(self._into, topdown=False):
            for name in names:
                Path(folder, name).unlink()
        (self._notes / _DONE).write_text("", "ascii")
        beside = noted.with_suffix(".new")
        beside.write_text(json.dumps(pin), "utf-8")
        beside.replace(noted)
        return set()

    def _parts(self) -> Iterator[_Part]:
        number = 0
        for each in self._pinned:
            for start in range(0, each.size, self._part):
                yield _Part(number, each, start, min(self._part, each.size - start))
                number += 1

    def _make_file(self, each: PinnedObject) -> None:
        target = self._into / each.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            file.truncate(each.size)

    def _bring(self, part: _Part, noted: Any) -> None:
        counted = 0

        def bring() -> None:
            nonlocal counted
            with self._lock:
                self._arrived -= counted
            counted = 0
            for size in self._stream(part):
                with self._lock:
                    self._arrived += size
                counted += size

        try:
            self._bucket.aws.call(bring)
        except AwsError as error:
            if code_of(error) in CHANGED:
                raise self._bucket.changed(part.of) from error
            if refusal := explain_refusal(error, self._bucket.name, part.of.key, pays=self._bucket.pays):
                raise refusal from error
            raise
        if not self._stop.is_set():
            with self._lock:
                noted.write(f"{part.number}\n")
                noted.flush()

    def _stream(self, part: _Part) -> Iterator[int]:
        each = part.of
        last = part.start + part.length - 1
        answer = self._bucket.client.get_object(
            Bucket=self._bucket.name, Key=each.key, Range=f"bytes={part.start}-{last}", **each.pin, **self._bucket.payer
        )
        body, at = answer["Body"], part.start
        with body, (self._into / each.path).open("r+b", buffering=0) as file:
            if answer["ETag"].strip('"') != each.etag:
                raise self._bucket.changed(each)
            try:
                while not self._stop.is_set() and (data := body.read(_CHUNK)):
                    os.pwrite(file.fileno(), data, at)
                    at += len(data)
                    yield len(data)
            except IncompleteReadError as error:
                raise ResponseStreamingError(error=error) from error  # what the policies know as a broken connection
            if at != part.start + part.length and not self._stop.is_set():
                raise ResponseStreamingError(error=f"{at - part.start} bytes of {part.length}")
