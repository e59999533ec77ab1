"""Events that say that an object was uploaded: what they name, and which of two uploads of one object is the later one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from efsprov.core.errors import EfsprovError, UsageError
from efsprov.core.history import State
from efsprov.models.manifest import read_model_manifest
from efsprov.store.layout import Channel

COMPLETE: Final = "_SUCCESS"
"""The name of the object that says that a folder is uploaded whole (as Hadoop's and Spark's writers put it last)."""

SEQUENCER: Final = "sequencer"
_SUFFIXES: Final = re.compile(r"(\.tar)?\.[A-Za-z0-9]+$")


@dataclass(frozen=True)
class Upload:
    """One upload. ``sequencer`` orders the uploads of one key; '' where the event has none."""

    bucket: str
    key: str
    version: str | None = None
    sequencer: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it says that the folder that it lies in is whole."""
        return self.key.rpartition("/")[2] == COMPLETE

    @property
    def source_key(self) -> str:
        """The key, or the prefix, of what is to be published."""
        return self.key.removesuffix(COMPLETE) if self.is_folder else self.key


def read_uploads(event: Any) -> tuple[Upload, ...]:
    """Return the uploads in an event of S3 or of EventBridge; () for S3's test event. Raises ``UsageError`` otherwise."""
    if isinstance(event, dict) and event.get("Event") == "s3:TestEvent":
        return ()
    try:
        return tuple(_read(event))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"This is not an event about uploads to S3: {str(event)[:200]}",
            hint="Let S3 (s3:ObjectCreated:*) or EventBridge (source aws.s3, detail-type 'Object Created') send events.",
        ) from error


def name_of(upload: Upload, prefix: str) -> str:
    """Return the model that an upload is of: what its key has after ``prefix``, up to a '/' or without its suffixes."""
    rest = upload.key.removeprefix(prefix)
    if not upload.key.startswith(prefix) or not rest.strip("/"):
        raise UsageError(
            f"s3://{upload.bucket}/{upload.key} does not lie below {prefix!r}.",
            hint="Filter the events by that prefix.",
        )
    first, slash, _ = rest.partition("/")
    return (first if slash else _SUFFIXES.sub("", first)).lower()


def superseded_by(channel: Channel, state: State, uri: str, sequencer: str) -> str | None:
    """Return the release that held this upload of ``uri`` when it was current, or holds a later one; None without any.

    S3 delivers events more than once and in any order. Of two sequencers of one key, padded with zeros at the right, the
    larger is the later (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
    """
    for release in reversed(state.live):
        try:
            origin = read_model_manifest(channel, release.id).model.origin
        except EfsprovError:
            continue  # damaged: no reason to leave the upload out
        known = origin.get(SEQUENCER, "")
        if origin.get("uri", "").partition("?")[0] == uri and known and sequencer:
            width = max(len(known), len(sequencer))
            known, request = known.ljust(width, "0"), sequencer.ljust(width, "0")
            # The very upload may have been published by somebody who was killed before it was made current.
            if known > request or (known == request and release.activated):
                return release.id
    return None


def _read(event: Any) -> Iterator[Upload]:
    if "detail" in event:
        result = event["detail"]["object"]
        if event["detail-type"] == "Object Created":
            yield Upload(
                bucket=event["detail"]["bucket"]["name"],
                key=result["key"],
                version=result.get("version-id"),
                sequencer=result.get("sequencer", ""),
            )
        return
    for record in event["Records"]:
        result = record["s3"]["object"]
        if record["eventName"].startswith("ObjectCreated:"):
            yield Upload(
                bucket=record["s3"]["bucket"]["name"],
                key=unquote_plus(result["key"]),
                version=result.get("versionId"),
                sequencer=result.get("sequencer", ""),
            )
