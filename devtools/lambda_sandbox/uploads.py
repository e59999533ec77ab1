"""Where packages come from: the request itself, or S3."""

from collections.abc import Callable, Mapping
from typing import Any

from devtools.lambda_sandbox.packages import MAX_REQUEST
from devtools.lambda_sandbox.rest_json import ServiceError

ReadObject = Callable[[str, str, str | None], bytes]


def no_objects(bucket: str, key: str, version: str | None) -> bytes:
    """The S3 of an account that has nothing in it."""
    raise KeyError(bucket, key, version)


class Uploads:
    """``read_object(bucket, key, version)`` gives an object of S3, or raises KeyError if there is none."""

    def __init__(self, read_object: ReadObject = no_objects) -> None:
        self._read_object = read_object

    def read(self, source: Mapping[str, Any]) -> bytes:
        """The archive that ``ZipFile``, or ``S3Bucket`` and ``S3Key``, say."""
        match source:
            case {"ZipFile": bytes(data)}:
                if len(data) * 4 / 3 > MAX_REQUEST:
                    message = f"Request must be smaller than {MAX_REQUEST} bytes for this operation"
                    raise ServiceError("RequestTooLargeException", message)
                return data
            case {"S3Bucket": bucket, "S3Key": key}:
                try:
                    return self._read_object(bucket, key, source.get("S3ObjectVersion"))
                except KeyError:
                    message = "Error occurred while GetObject. S3 Error Code: NoSuchKey."
                    raise ServiceError("InvalidParameterValueException", message) from None
            case _:
                raise ServiceError("InvalidParameterValueException", "Please provide a source for function code.")
