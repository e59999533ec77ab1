"""Why S3 does not hand out an object that is there: archived, locked by a key of the customer's, or paid by who asks."""

import re
from collections.abc import Mapping
from typing import Any, Final

from efsprov.aws.errors import DENIED, code_of
from efsprov.core.errors import AwsError, FetchError

REQUESTER: Final[Mapping[str, Any]] = {"RequestPayer": "requester"}
"""What a request says whose sender pays (https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html)."""
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # GLACIER_IR is read at once
_RESTORED: Final = re.compile(r'ongoing-request\s*=\s*"false"')
_CUSTOMER_KEY: Final = "Server Side Encryption"


def is_archived(found: Mapping[str, Any]) -> bool:
    """Tell whether an object has to be restored before it can be read, by HeadObject's response or ListObjectsV2's entry.

    Of an entry of a list only the storage class is known: HeadObject says whether it was restored meanwhile
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html).
    """
    if found.get("StorageClass") not in _ARCHIVES and not found.get("ArchiveStatus"):
        return False
    return not _RESTORED.search(found.get("Restore", ""))


def archived(bucket: str, key: str) -> FetchError:
    """Say that an object has to be restored first."""
    return FetchError(
        f"s3://{bucket}/{key} is in an archive of S3 (Glacier), where it cannot be read at once.",
        hint="Nothing was copied. Restore it, which takes hours: "
        f"`aws s3api restore-object --bucket {bucket} --key {key} --restore-request Days=2`. Then run the command again.",
    )


def explain_refusal(error: AwsError, bucket: str, key: str, *, pays: bool) -> AwsError | FetchError | None:
    """Return what to raise for a request for an object that was refused; None where no more is known than ``error`` says."""
    code = code_of(error)
    if code == "InvalidObjectState":
        return archived(bucket, key)
    if code == "400" or (code in {"InvalidRequest", "InvalidArgument"} and _CUSTOMER_KEY in error.message):
        # HeadObject has no body: all that is known of a key that was not given is status 400.
        return FetchError(
            f"s3://{bucket}/{key} cannot be read: it seems to be encrypted with a key of the customer's own (SSE-C).",
            hint="Nothing was copied. Copy it to an object that S3 or KMS encrypts (`aws s3 cp --sse-c-copy-source`), and name that.",
        )
    if code in {"403", *DENIED}:
        payer = "" if pays else " Where the bucket's requesters pay: --requester-pays."
        return AwsError(
            f"Access to s3://{bucket}/{key} is denied, or it does not exist.",
            hint=f"It takes s3:GetObject on the object and s3:ListBucket on the bucket (a KMS key: kms:Decrypt).{payer}",
        )
    return None
