"""What EFS does and moto does not: file systems have policies of their own, and ids have 17 digits.

https://docs.aws.amazon.com/efs/latest/ug/API_PutFileSystemPolicy.html
"""

import json
import re
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

from devtools.strict_aws.ec2 import Backend
from devtools.strict_aws.wire import Call, error_response

# Moto's ids have eight digits, which Lambda's model, for one, does not take: nine zeros make them as long as AWS's.
_SHORT = re.compile(r"\b((?:fs|fsap|fsmt)-[0-9a-f]{8})\b")
_LONG = re.compile(r"\b((?:fs|fsap|fsmt)-[0-9a-f]{8})0{9}\b")


class Efs:
    """Answers what moto, the ``backend``, has no answer to, and what it has in AWS's form."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._policies: dict[str, str] = {}
        self._lock = threading.Lock()

    def answer(self, call: Call, environ: Mapping[str, Any], body: bytes) -> Response:
        """Answer a call of EFS's."""
        own = {
            "PutFileSystemPolicy": self._put,
            "DescribeFileSystemPolicy": self._describe,
            "DeleteFileSystemPolicy": self._delete,
        }.get(call.operation)
        if own is None:
            return self._moto(environ, body)
        with self._lock:
            return own(call.parameters["FileSystemId"].rpartition("/")[2], call)

    def _moto(self, environ: Mapping[str, Any], body: bytes) -> Response:
        places = ("PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI")
        shorter = {name: _LONG.sub(r"\1", environ[name]) for name in places if name in environ}
        response = self._backend({**environ, **shorter}, _LONG.sub(r"\1", body.decode()).encode())
        response.set_data(_SHORT.sub(r"\g<1>000000000", response.get_data(as_text=True)))
        return response

    def _put(self, file_system: str, call: Call) -> Response:
        try:
            json.loads(call.parameters["Policy"])
        except ValueError:
            return error_response("efs", "InvalidPolicyException", "The policy is not JSON.")
        self._policies[file_system] = call.parameters["Policy"]
        return self._describe(file_system, call)

    def _describe(self, file_system: str, call: Call) -> Response:
        if file_system not in self._policies:
            return error_response("efs", "PolicyNotFound", f"No policy is set on {file_system}.", 404)
        return answer_json({"FileSystemId": file_system, "Policy": self._policies[file_system]})

    def _delete(self, file_system: str, call: Call) -> Response:
        self._policies.pop(file_system, None)
        return answer_json({})


def answer_json(document: dict[str, object]) -> Response:
    """The answer of a JSON service."""
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(document), content_type="application/json", headers=headers)
