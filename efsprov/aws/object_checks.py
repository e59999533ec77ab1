"""Holds a file against what S3 says that its object is: a checksum, or the ETag where that is an MD5."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from efsprov.aws.download import CHANGED, Bucket, PinnedObject
from efsprov.aws.errors import code_of
from efsprov.core.errors import AwsError, FetchError

_CHUNK: Final = 1 << 20


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _md5() -> _Hash:
    return hashlib.md5(usedforsecurity=False)


# Of those that S3 has; CRC32C and CRC64NVME are not in the standard library, and too slow without it.
_ALGORITHMS: Final[dict[str, Callable[[], _Hash]]] = {
    "ChecksumSHA256": hashlib.sha256,
    "ChecksumSHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "ChecksumCRC32": _Crc32,
}


def check_object(bucket: Bucket, pinned: PinnedObject, path: Path) -> str:
    """Return by what ``path`` was found to be the object; raises ``FetchError`` when it is not, or the object changed.

    That is `SHA256`, `SHA1`, `CRC32`, `MD5` (the ETag of an object that no key of KMS or the client encrypts,
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html), or only `size` where S3 tells nothing else that
    can be computed here. Objects in parts have the hash of their parts' hashes.
    """
    response = _head(bucket, pinned, ChecksumMode="ENABLED", **pinned.pin)
    for name, algorithm in _ALGORITHMS.items():
        if response.get(name):
            expected, _, parts = response[name].partition("-")
            found = _hash(path, pinned.size, _sizes(bucket, pinned, parts), algorithm)
            _require_same(bucket, pinned, name.removeprefix("Checksum"), base64.b64decode(expected), found)
            return name.removeprefix("Checksum")
    encrypted = response.get("ServerSideEncryption") not in {None, "AES256"} or response.get("SSECustomerAlgorithm")
    expected, _, parts = pinned.etag.partition("-")
    if encrypted or len(expected) != 32 or set(expected) - set("0123456789abcdef"):
        return "size"
    found = _hash(path, pinned.size, _sizes(bucket, pinned, parts), _md5)
    _require_same(bucket, pinned, "MD5", bytes.fromhex(expected), found)
    return "MD5"


def _head(bucket: Bucket, pinned: PinnedObject, **request: Any) -> Any:
    if pinned.version:
        request["VersionId"] = pinned.version
    try:
        return bucket.aws.call(
            lambda: bucket.client.head_object(Bucket=bucket.name, Key=pinned.key, **request, **bucket.payer)
        )
    except AwsError as error:
        if code_of(error) in CHANGED:
            raise bucket.changed(pinned) from error
        raise


def _sizes(bucket: Bucket, pinned: PinnedObject, parts: str) -> tuple[int, ...]:
    """Return the sizes of an object's parts; () for an object that was put in one piece."""
    if not parts.isdecimal():
        return ()
    count, first = int(parts), _head(bucket, pinned, PartNumber=1)["ContentLength"]
    if (count - 1) * first < pinned.size <= count * first:  # as everybody uploads: all the same, the last one smaller
        return (*[first] * (count - 1), pinned.size - (count - 1) * first)
    others = (_head(bucket, pinned, PartNumber=number)["ContentLength"] for number in range(2, count + 1))
    return (first, *others)


def _hash(path: Path, size: int, parts: Sequence[int], algorithm: Callable[[], _Hash]) -> bytes:
    whole = algorithm()
    with path.open("rb", buffering=0) as file:
        if not parts:
            _feed(whole, file, size)
        for length in parts:
            part = algorithm()
            _feed(part, file, length)
            whole.update(memoryview(part.digest()))
    return whole.digest()


def _feed(digest: _Hash, file: Any, size: int) -> None:
    buffer = memoryview(bytearray(_CHUNK))
    while size:
        count = file.readinto(buffer[: min(size, _CHUNK)])
        if not count:
            return
        digest.update(buffer[:count])
        size -= count


def _require_same(bucket: Bucket, pinned: PinnedObject, name: str, expected: bytes, found: bytes) -> None:
    if found != expected:
        _head(bucket, pinned, **pinned.pin)  # the sizes of the parts may be those of another object by now
        raise FetchError(
            f"{pinned.key} arrived damaged: its {name} is not what S3 says.",
            hint="Nothing was published. Push again: it is copied again.",
        )
