"""Objects of S3 as a source of files: found, pinned to what they are now, and brought here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

from efsprov.aws.download import PART, Bucket, Download, PinnedObject
from efsprov.aws.errors import code_of
from efsprov.aws.object_checks import check_object
from efsprov.aws.object_refusals import archived, explain_refusal, is_archived
from efsprov.aws.object_store import BUCKET
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, FetchError, NotFoundError, UsageError
from efsprov.core.filelist import is_inside
from efsprov.core.urls import split_url

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchVersion"})
THREADS: Final = 16
"""Ranges under way at once: S3 gives one connection some 90 MB/s and asks for 8 to 16 MB each, side by side
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html)."""


@dataclass(frozen=True)
class Brought:
    """``origin`` says what was brought, for a manifest; ``is_file`` that it is one object and no prefix."""

    origin: Mapping[str, str]
    is_file: bool


@dataclass(frozen=True)
class S3Source:
    """One object, or all below a prefix; ``left_out`` are names directly below it that are not part of the model.

    ``version`` is that of one object (None: what it is now). ``pays`` is for buckets whose requesters pay. ``part``
    bytes come in one request, ``threads`` requests side by side.
    """

    aws: Aws = field(repr=False)
    bucket: str
    key: str
    version: str | None = None
    left_out: frozenset[str] = frozenset()
    part: int = PART
    threads: int = THREADS
    pays: bool = False

    resumable = True

    @classmethod
    def parse(cls, uri: str, aws: Aws, *, pays: bool = False) -> "S3Source":
        """Read `s3://BUCKET/KEY`, with `?versionId=ID` where one version is meant; raises ``UsageError``."""
        parts = split_url(uri)
        key, query = unquote(uri.partition("://")[2].partition("/")[2]), {}
        if parts.query.startswith("versionId=") and "&" not in parts.query:
            key, _, _ = key.rpartition("?")
            query = parse_qs(parts.query)
        if parts.scheme != "s3" or not BUCKET.fullmatch(parts.netloc):
            raise UsageError(
                f"{uri!r} is not an object of S3.", hint="It reads s3://BUCKET/KEY or s3://BUCKET/PREFIX/."
            )
        return cls(aws, parts.netloc, key, query.get("versionId", [None])[0], pays=pays)

    @property
    def uri(self) -> str:
        """How people name it."""
        return f"s3://{self.bucket}/{self.key}" + (f"?versionId={self.version}" if self.version else "")

    def fetch(self, into: Path, *, notes: Path, share: bool, progress: Callable[[int, int], None]) -> Brought:
        """Bring the objects into the folder ``into``; ``notes`` keeps what is needed to go on after a kill.

        Raises ``NotFoundError``, ``FetchError`` for an object that changes meanwhile or arrives damaged, ``AwsError``.
        """
        del share  # what arrives is ours alone
        pinned = self._pin()
        bucket = self._asked
        download = Download(bucket, pinned, into=into, notes=notes, part=self.part, threads=self.threads)
        download.run(progress)
        checks = set()
        for each in pinned:
            try:
                checks.add(check_object(bucket, each, into / each.path))
            except FetchError:
                download.forget()
                raise
        if not self._is_one(pinned) and self._pin() != pinned:
            download.forget()
            raise FetchError(
                f"{self.uri} changed while it was copied: objects were added, removed or replaced.",
                hint="Nothing was published. Push again when the upload is over.",
            )
        origin = {"uri": self.uri, "checked_by": ", ".join(sorted(checks))}
        if self._is_one(pinned):
            origin["etag"] = pinned[0].etag
            if pinned[0].version:
                origin["version_id"] = pinned[0].version
        return Brought(origin, self._is_one(pinned))

    @cached_property
    def _asked(self) -> Bucket:
        return Bucket(self.aws, self._client, self.bucket, self.pays)

    @cached_property
    def _client(self) -> "S3Client":
        client: S3Client = self.aws.client("s3", max_pool_connections=self.threads + 2)
        return client

    def _is_one(self, pinned: tuple[PinnedObject, ...]) -> bool:
        return len(pinned) == 1 and pinned[0].key == self.key

    def _pin(self) -> tuple[PinnedObject, ...]:
        """Return what is there now: the object of this key, else all objects below it."""
        if self.key and not self.key.endswith("/"):
            one = self._head()
            if one is not None:
                return (one,)
        found = self._list()
        if not found:
            raise NotFoundError(
                f"There is nothing at {self.uri}.", hint=f"`aws s3 ls s3://{self.bucket}/` lists what there is."
            )
        return found

    def _head(self) -> PinnedObject | None:
        request: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key, **self._asked.payer}
        if self.version:
            request["VersionId"] = self.version
        try:
            found = self.aws.call(lambda: self._client.head_object(**request))
        except AwsError as error:
            # Without s3:ListBucket a missing key is 403, and so may be a prefix (HeadObject, "Permissions").
            if code_of(error) in _MISSING and not self.version:
                return None
            if self.version and code_of(error) in {*_MISSING, "400"}:  # 400: it is not even of a version's form
                raise NotFoundError(
                    f"There is no version {self.version} of s3://{self.bucket}/{self.key}.",
                    hint=f"`aws s3api list-object-versions --bucket {self.bucket} --prefix {self.key}` lists what there is.",
                ) from error
            if refusal := explain_refusal(error, self.bucket, self.key, pays=self.pays):
                raise refusal from error
            raise
        if is_archived(found):
            raise archived(self.bucket, self.key)
        version = found.get("VersionId")
        return PinnedObject(
            key=self.key,
            path=self.key.rpartition("/")[2],
            size=found["ContentLength"],
            etag=found["ETag"].strip('"'),
            version=version if version != "null" else None,
        )

    def _list(self) -> tuple[PinnedObject, ...]:
        prefix = self.key if not self.key or self.key.endswith("/") else f"{self.key}/"
        found: list[PinnedObject] = []
        token: dict[str, Any] = {}
        while True:
            page = self._page(prefix, token)
            for each in page.get("Contents", ()):
                path = each["Key"].removeprefix(prefix)
                if path.endswith("/") or not path or path in self.left_out:
                    continue  # a console's mark for a folder, an uploader's for the end
                if not is_inside(path):
                    raise FetchError(
                        f"s3://{self.bucket}/{each['Key']} has a name that no file can have below a folder.",
                        hint="Nothing was copied. Rename the object, or name a prefix that leaves it out.",
                    )
                if is_archived(each) and is_archived(self._details(each["Key"])):
                    raise archived(self.bucket, each["Key"])
                found.append(PinnedObject(each["Key"], path, each["Size"], each["ETag"].strip('"')))
            if not page.get("IsTruncated"):
                return tuple(found)
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _details(self, key: str) -> Any:
        return self.aws.call(lambda: self._client.head_object(Bucket=self.bucket, Key=key, **self._asked.payer))

    def _page(self, prefix: str, token: Mapping[str, Any]) -> Any:
        try:
            return self.aws.call(
                lambda: self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **token, **self._asked.payer)
            )
        except AwsError as error:
            if code_of(error) == "NoSuchBucket":
                raise NotFoundError(f"There is no bucket {self.bucket}.", hint="`aws s3 ls` lists yours.") from error
            raise
