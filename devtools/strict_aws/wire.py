"""A request as AWS reads it: which operation of which service, with the parameters that boto3 was given; and errors as AWS words them.

Moto's router and parsers know botocore's protocols (ec2, query, json, rest-json, rest-xml); the service is read from the
signature: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html
"""

import functools
import io
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

# The names that signatures use where botocore has others (signingName in the service models).
SIGNING_NAMES = {
    "elasticfilesystem": "efs",
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
}
_SCOPE = re.compile(
    r"(?:Credential=|X-Amz-Credential=)([^/&,]+)(?:/|%2F)\d{8}(?:/|%2F)([\w-]+)(?:/|%2F)([\w-]+)", re.IGNORECASE
)
_ERROR_XML = {
    "ec2": '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>'
    "</Error></Errors><RequestID>{request}</RequestID></Response>",
    "query": "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    "<RequestId>{request}</RequestId></ErrorResponse>",
    "rest-xml": '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
    "<RequestId>{request}</RequestId></Error>",
}


@dataclass(frozen=True)
class Call:
    """One request. ``parameters`` are boto3's, ``flat`` what was sent, by name (of the ec2 and query protocols' forms)."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    flat: Mapping[str, str]
    key: str  # the access key's id
    region: str
    model: OperationModel

    @property
    def action(self) -> str:
        """ "ec2:RunInstances"."""
        return f"{self.service}:{self.operation}"


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Botocore's model of a service, with its documentation."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def scope_of(text: str) -> tuple[str, str, str] | None:
    """The access key's id, the region and the service that a signature is for; None for a request that is not signed."""
    found = _SCOPE.search(text)
    return (found[1], found[2], SIGNING_NAMES.get(found[3], found[3])) if found else None


def read_call(environ: Mapping[str, Any], body: bytes) -> Call | None:
    """The call that a request is; None where it is not one of AWS's, or its service is not known."""
    scope = scope_of(environ.get("HTTP_AUTHORIZATION", "")) or scope_of(environ.get("QUERY_STRING", ""))
    if scope is None:
        return None
    key, region, service = scope
    if service == "apigateway" and environ["PATH_INFO"].startswith("/v2/"):
        service = "apigatewayv2"
    request = Request({**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    try:
        operation, in_path = get_service_router(service).match(request)
    except (HTTPException, LookupError):
        return None
    protocol = determine_request_protocol(get_service_model(service), request.content_type)
    parser = PROTOCOL_PARSERS[protocol](operation)
    parameters = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": in_path,
        }
    )
    model = service_model(service).operation_model(operation.name)
    form = protocol in {"ec2", "query"}
    flat = (
        dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if form
        else {name: str(value) for name, value in parameters.items()}
    )
    return Call(service, operation.name, parameters, flat, key, region, model)


def error_response(service: str, code: str, message: str, status: int = 400) -> Response:
    """The answer with which a service refuses, in its protocol."""
    request = str(uuid.uuid4())
    protocol = service_model(service).metadata["protocol"]
    if template := _ERROR_XML.get(protocol):
        text = message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        answer = Response(template.format(code=code, message=text, request=request), status, content_type="text/xml")
    else:
        document = {"__type": code, "message": message, "Message": message, "Type": "User"}
        if service == "efs":
            document["ErrorCode"] = code
        answer = Response(json.dumps(document), status, content_type="application/json")
    answer.headers["x-amzn-ErrorType"] = code
    answer.headers["x-amzn-RequestId"] = request
    return answer
