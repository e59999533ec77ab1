"""Who calls: principals with policies of their own, what they were asked about, and how AWS tells them no."""

import json
import re
import secrets
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from devtools.strict_aws.authorization import checks_of
from devtools.strict_aws.policies import Check, Decision, Document, decide
from devtools.strict_aws.resources import partition
from devtools.strict_aws.roles import join_the_vpc
from devtools.strict_aws.wire import Call, error_response
from devtools.strict_aws.world import ACCOUNT, World

# The codes of a denial: each service's page "Common errors"; EC2's:
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
DENIALS = {
    "ec2": "UnauthorizedOperation",
    "iam": "AccessDenied",
    "sts": "AccessDenied",
    "s3": "AccessDenied",
    "sqs": "AccessDenied",
    "cloudformation": "AccessDenied",
}


@dataclass(frozen=True)
class Principal:
    """A caller: its ARN and its policies. ``key`` and ``secret`` are its access key."""

    arn: str
    documents: tuple[Document, ...]
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}


@dataclass(frozen=True)
class Request:
    """A check that was made for a call, and what came of it."""

    principal: str
    operation: str
    check: Check
    decision: Decision


class Identities:
    """The account's principals under test; every other access key is an administrator's."""

    def __init__(self, world: World) -> None:
        self.requests: list[Request] = []
        self.decoded: dict[str, str] = {}  # what sts:DecodeAuthorizationMessage makes of an encoded message
        self._world = world
        self._principals: dict[str, Principal] = {}
        self._lock = threading.Lock()

    def add(self, name: str, documents: Iterable[Document]) -> Principal:
        """A new user that has these policies and no others."""
        key = f"AKIA{secrets.token_hex(8).upper()}"
        arn = f"arn:aws:iam::{ACCOUNT}:user/{name}-{len(self._principals) + 1}"
        made = Principal(arn, tuple(documents), key, secrets.token_hex(20))
        self._principals[key] = made
        return made

    def assume(self, role: str, answer: str) -> None:
        """Somebody has taken a role: what the answer's key is used for, the role's policies decide.

        https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
        """
        key = re.findall(r"<AccessKeyId>(\w+)</AccessKeyId>", answer)[0]
        documents = self._world.policies_of_role(role)
        self._principals[key] = Principal(role, tuple(documents or ()), key, "")

    def deny(self, call: Call) -> Response | None:
        """The answer to a call that its caller may not make; None where it may."""
        principal = self._principals.get(call.key)
        if principal is None:
            return None
        for check in checks_of(call, self._world, principal.arn):
            decision = decide(principal.documents, check)
            self._note(Request(principal.arn, call.action, check, decision))
            if not decision.allowed:
                return self._denial(call, principal, check, decision)
        return self._deny_the_role(call)

    def hide_missing(self, call: Call) -> Response | None:
        """The answer for an object that is not there: 403 for who may not list the bucket, None (404) for others.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html and API_HeadObject.html, "Permissions"
        """
        principal = self._principals.get(call.key)
        if principal is None:
            return None
        check = Check("s3:ListBucket", f"arn:{partition(call.region)}:s3:::{call.parameters['Bucket']}", {})
        decision = decide(principal.documents, check)
        self._note(Request(principal.arn, call.action, check, decision))
        return None if decision.allowed else self._denial(call, principal, check, decision)

    def _deny_the_role(self, call: Call) -> Response | None:
        """Lambda looks before it takes a role whether it may connect the function to its VPC."""
        if call.action != "lambda:CreateFunction" or not (call.parameters.get("VpcConfig") or {}).get("SubnetIds"):
            return None
        role = call.parameters["Role"]
        documents = self._world.policies_of_role(role)
        for check in join_the_vpc(call.region) if documents is not None else ():
            decision = decide(documents or (), check)
            self._note(Request(role, call.action, check, decision))
            if not decision.allowed:
                what = check.action.partition(":")[2]
                message = f"The provided execution role does not have permissions to call {what} on EC2"
                return error_response("lambda", "InvalidParameterValueException", message)
        return None

    def _note(self, requests: Request) -> None:
        with self._lock:
            self.requests.append(requests)

    def _denial(self, call: Call, principal: Principal, check: Check, decision: Decision) -> Response:
        code = DENIALS.get(call.service, "AccessDeniedException")
        why = "with an explicit deny in an" if decision.denied else "because no"
        message = (
            f"User: {principal.arn} is not authorized to perform: {check.action} on resource: {check.resource} "
            f"{why} identity-based policy {'' if decision.denied else f'allows the {check.action} action'}"
        ).rstrip()
        if call.service == "ec2":
            token = secrets.token_urlsafe(48)
            response = {
                "allowed": False,
                "explicitDeny": decision.denied,
                "matchedStatements": {"items": [{"statementId": each} for each in decision.statements]},
                "context": {
                    "principal": {"arn": principal.arn},
                    "action": check.action,
                    "resource": check.resource,
                    "conditions": {"items": [{"key": k, "values": list(v)} for k, v in check.context.items()]},
                },
            }
            self.decoded[token] = json.dumps(response)
            message = f"You are not authorized to perform this operation. {message}. Encoded authorization failure message: {token}"
        return error_response(call.service, code, message, 403)

    def decode(self, call: Call) -> Response:
        """Answer sts:DecodeAuthorizationMessage."""
        decoded = self.decoded.get(call.parameters["EncodedMessage"])
        if decoded is None:
            return error_response("sts", "InvalidAuthorizationMessageException", "Message is not valid")
        return _query_answer("sts", "DecodeAuthorizationMessage", f"<DecodedMessage>{escape(decoded)}</DecodedMessage>")

    def simulate(self, call: Call) -> Response:
        """Answer iam:SimulatePrincipalPolicy: a key that is not given is missing, as in a real request without it.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
        """
        given = call.parameters
        documents = self._world.policies_of_role(given["PolicySourceArn"])
        if documents is None:
            message = f"The role {given['PolicySourceArn']} cannot be found."
            return error_response("iam", "NoSuchEntity", message, 404)
        context = {e["ContextKeyName"]: e["ContextKeyValues"] for e in given.get("ContextEntries", ())}
        results = []
        for action in given["ActionNames"]:
            for resource in given.get("ResourceArns") or ["*"]:
                decision = decide(documents, Check(action, resource, context))
                word = "allowed" if decision.allowed else "explicitDeny" if decision.denied else "implicitDeny"
                missing = "".join(f"<member>{escape(key)}</member>" for key in _keys(documents) if key not in context)
                results.append(
                    f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}</EvalResourceName>"
                    f"<EvalDecision>{word}</EvalDecision><MissingContextValues>{missing}</MissingContextValues></member>"
                )
        inside = f"<IsTruncated>false</IsTruncated><EvaluationResults>{''.join(results)}</EvaluationResults>"
        return _query_answer("iam", "SimulatePrincipalPolicy", inside)


def _keys(documents: Iterable[Document]) -> list[str]:
    found: dict[str, None] = {}
    for document in documents:
        for statement in document["Statement"]:
            for keys in statement.get("Condition", {}).values():
                found |= dict.fromkeys(keys)
    return list(found)


def _query_answer(service: str, operation: str, inside: str) -> Response:
    namespace = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/", "iam": "https://iam.amazonaws.com/doc/2010-05-08/"}
    return Response(
        f'<{operation}Response xmlns="{namespace[service]}"><{operation}Result>{inside}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{operation}Response>",
        content_type="text/xml",
    )
