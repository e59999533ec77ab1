"""What answers for a service behind the double, where moto does not: servers of ours that read botocore's models."""

from collections.abc import Mapping
from email.message import Message
from typing import Any

from werkzeug.wrappers import Response

from devtools.lambda_sandbox.rest_json import RestJsonServer
from devtools.strict_aws.ec2 import Backend


def rest_json(server: RestJsonServer) -> Backend:
    """The backend that asks a server of `devtools.lambda_sandbox` (``LambdaEndpoint``), without another connection."""

    def answer(environ: Mapping[str, Any], body: bytes) -> Response:
        headers = Message()
        for name, value in environ.items():
            if name.startswith("HTTP_"):
                headers[name.removeprefix("HTTP_").replace("_", "-")] = value
        query = environ.get("QUERY_STRING", "")
        target = environ.get("RAW_URI") or environ["PATH_INFO"] + (f"?{query}" if query else "")
        response = server.answer(environ["REQUEST_METHOD"], target, headers, body)
        return Response(response.body, response.status, dict(response.headers))

    return answer
