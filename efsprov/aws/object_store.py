"""A prefix of a bucket that is read in ranges, written to, and changed only where it is what it was (conditional writes).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import io
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from efsprov.aws.errors import code_of, explain
from efsprov.aws.object_refusals import explain_refusal
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET: Final = re.compile(r"[a-z0-9A-Z.\-_:/]{3,255}")
"""What a bucket may be called; also an access point's ARN."""
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
# Another writer came first: with the object as it is (412), or while it was written (409); see ``put_if``.
_OVERTAKEN: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_PART: Final = 8 << 20  # 10,000 parts at most: 80 GB
_UPLOADS: Final = 8
_CONNECTIONS: Final = 40


@dataclass(frozen=True)
class ObjectStore:
    """``prefix`` has no slash at its end. Methods raise ``AwsError`` or ``FetchError`` for what S3 refuses."""

    aws: Aws = field(repr=False)
    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """How people name it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def size(self, name: str) -> int | None:
        """Return an object's size in bytes; None where there is none, or whoever asks may not know (403)."""
        try:
            found = self.aws.call(lambda: self._client.head_object(Bucket=self.bucket, Key=self._key(name)))
        except AwsError as error:
            if code_of(error) in {*_MISSING, "403"}:  # 403 is also a missing key without s3:ListBucket (HeadObject)
                return None
            raise
        return found["ContentLength"]

    def read(self, name: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object, short at its end; None where there is no such object."""
        asked = {"Range": f"bytes={offset}-{offset + size - 1}"} if size else {}

        def get() -> bytes:
            return self._client.get_object(Bucket=self.bucket, Key=self._key(name), **asked)["Body"].read()  # type: ignore[arg-type]

        try:
            return self.aws.call(get)[: size or None]
        except AwsError as error:
            if code_of(error) in _MISSING:
                return None
            if code_of(error) in {"InvalidRange", "416"}:  # it ends before
                return b""
            raise explain_refusal(error, self.bucket, self._key(name), pays=False) or error from error

    def read_whole(self, name: str, most: int) -> tuple[bytes, str] | None:
        """Return an object's bytes, ``most`` + 1 at the most, and its version for ``put_if``; None where there is none."""

        def get() -> tuple[bytes, str]:
            found = self._client.get_object(Bucket=self.bucket, Key=self._key(name))
            return found["Body"].read(most + 1), found["ETag"]

        try:
            return self.aws.call(get)
        except AwsError as error:
            if code_of(error) in _MISSING:
                return None
            raise explain_refusal(error, self.bucket, self._key(name), pays=False) or error from error

    def put_if(self, name: str, content: bytes, version: str) -> bool:
        """Write an object where it still has ``version`` ("": where there is none); False where it has not.

        A reply that was lost may have been a success: then the second request finds the object changed, by this one.
        """
        condition: dict[str, Any] = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            self.aws.call(
                lambda: self._client.put_object(Bucket=self.bucket, Key=self._key(name), Body=content, **condition)
            )
        except AwsError as error:
            if code_of(error) in _OVERTAKEN or (version and code_of(error) in _MISSING):
                now = self.read_whole(name, len(content))
                return now is not None and now[0] == content
            raise explain_refusal(error, self.bucket, self._key(name), pays=False) or error from error
        return True

    def upload(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write an object from ``chunks``, in parts side by side; what fails leaves none, nor parts of it."""
        config = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=_UPLOADS)
        try:
            self._uploader.upload_fileobj(
                cast("BinaryIO", _Chunks(chunks)), self.bucket, self._key(name), Config=config
            )
        except (ClientError, BotoCoreError) as error:
            raise explain(error, region=self.aws.region) from error
        except S3UploadFailedError as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ClientError | BotoCoreError):
                raise explain(cause, region=self.aws.region) from cause
            raise AwsError(
                f"The upload to {self.uri}/{name} failed: {error}.", hint="Run the command again."
            ) from error

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}".lstrip("/")

    @cached_property
    def _client(self) -> "S3Client":
        client: S3Client = self.aws.client("s3", max_pool_connections=_CONNECTIONS)
        return client

    @cached_property
    def _uploader(self) -> "S3Client":
        # The transfer sends each part by itself, so it is botocore that sends a part again.
        retries = {"mode": "standard", "total_max_attempts": 5}
        client: S3Client = self.aws.client("s3", max_pool_connections=_UPLOADS, retries=retries)
        return client


class _Chunks(io.RawIOBase):
    """An iterable of bytes as the file that the transfer reads; a part is read by one thread at a time."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = memoryview(b"")
        self._turn = threading.Lock()

    def readable(self) -> bool:
        """It is read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        found = bytearray()
        with self._turn:
            while size < 0 or len(found) < size:
                if not self._rest:
                    chunk = next(self._chunks, None)
                    if chunk is None:
                        break
                    self._rest = memoryview(chunk)
                taken = self._rest[: size - len(found)] if size >= 0 else self._rest
                found += taken
                self._rest = self._rest[len(taken) :]
        return bytes(found)
