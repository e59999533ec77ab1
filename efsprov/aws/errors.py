"""What an error of AWS means, in plain words: pure functions from botocore's exceptions to ``AwsError``."""

import json
import re
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's own, not the built-in)
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from efsprov.aws.foreign import ForeignAnswerError
from efsprov.core.errors import AwsError

DENIED: Final = frozenset(
    {
        "UnauthorizedOperation",
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedException",
        "Client.UnauthorizedOperation",
    }
)
CAPACITY: Final = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "SpotMaxPriceTooLow",
        "Unsupported",  # the instance type is not offered in the zone
        "UnsupportedOperation",
    }
)
"""Another zone or instance type may do where these were answered; asking for the same again does not help."""

_THROTTLED: Final = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestThrottled",
        "RequestThrottledException",
        "EC2ThrottledException",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
_QUOTAS: Final = {
    "VcpuLimitExceeded": "the account's quota of vCPUs for this kind of instance is used up",
    "InstanceLimitExceeded": "the account's quota of instances of this type is used up",
    "MaxSpotInstanceCountExceeded": "the account's quota of spot instances is used up",
    "SecurityGroupLimitExceeded": "the account's quota of security groups in this VPC is used up",
    "RulesPerSecurityGroupLimitExceeded": "the quota of rules in a security group is used up",
    "SecurityGroupsPerInterfaceLimitExceeded": "the quota of security groups on one network interface is used up",
    "KeyPairLimitExceeded": "the account's quota of key pairs is used up",
    "VolumeLimitExceeded": "the account's quota of EBS volumes is used up",
    "MaxIOPSLimitExceeded": "the account's quota of EBS I/O operations is used up",
    "InsufficientFreeAddressesInSubnet": "the subnet has no free address",
    "NetworkInterfaceLimitExceeded": "the account's quota of network interfaces is used up",
}
_CREDENTIALS: Final = {
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "RequestExpired": "the credentials or this machine's clock are out of date",
    "InvalidClientTokenId": "AWS does not know the access key",
    "AuthFailure": "AWS does not accept the credentials",
    "UnrecognizedClientException": "AWS does not accept the credentials",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "OptInRequired": "the account has not enabled this region or service",
}
_HINTS: Final = {
    "FileSystemNotFound": "`aws efs describe-file-systems` lists those of the region; --region names another.",
    "AccessPointNotFound": "`aws efs describe-access-points` lists those of the region.",
    "InvalidSubnetID.NotFound": "Leave the subnet out: efsprov takes those of the mount targets.",
    "InvalidAMIID.NotFound": "AMI ids differ by region: leave it out for Amazon Linux 2023.",
    "InvalidInstanceType": "Leave the instance type out, or see `aws ec2 describe-instance-types`.",
    "ParameterNotFound": "The region has no such image; name one with [ec2] ami.",
}
_SIGN_IN: Final = (
    "`aws sts get-caller-identity` shows whether credentials work; `aws sso login` or AWS_PROFILE renew them."
)
_MARKUP: Final = re.compile(r"<[^>]*>|\\[nrt]")
_QUOTED: Final = 120
_ENCODED: Final = re.compile(r"Encoded authorization failure message: (\S+)")


def code_of(error: BaseException | None) -> str:
    """Return AWS's code of a botocore error, or of the one that an ``AwsError`` was made from; "" where there is none."""
    if isinstance(error, AwsError):
        error = error.__cause__
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status_of(error: AwsError) -> int:
    """Return the HTTP status of the answer that an ``AwsError`` was made from; 0 where there was none."""
    cause = error.__cause__
    if isinstance(cause, ForeignAnswerError):
        return cause.status
    return (
        int(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if isinstance(cause, ClientError)
        else 0
    )


def is_young_role(error: BaseException) -> bool:
    """Tell whether Lambda refuses a role for what may have been granted seconds ago: its trust, or a policy.

    IAM's changes take effect after some seconds
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html, "Changes that I make are not always immediately visible").
    """
    return (
        isinstance(error, AwsError)
        and code_of(error) == "InvalidParameterValueException"
        and any(words in error.message for words in ("cannot be assumed", "does not have permissions to call"))
    )


def refusal_of(error: AwsError) -> str:
    """Return AWS's code when it has refused the request for certain; "" when it may have been carried out all the same."""
    cause = error.__cause__
    return code_of(error) if isinstance(cause, ClientError) and not is_transient(cause) else ""


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed later: throttling, a failure of AWS (5xx), a broken connection.

    A lack of capacity comes with status 500 too, but is not transient in that sense: it lasts for hours.
    """
    if isinstance(error, ClientError):
        if code_of(error) in CAPACITY | _QUOTAS.keys():
            return False
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _THROTTLED or status >= 500
    if isinstance(error, ForeignAnswerError):
        return error.status >= 500
    return isinstance(error, ConnectionError | HTTPClientError)


def explain_foreign(error: ResponseParserError | ForeignAnswerError, *, region: str) -> AwsError:
    """Say that whoever answered is not AWS: botocore could not parse it, and quotes all of it in its message."""
    page = error.text if isinstance(error, ForeignAnswerError) else str(error).partition("invalid XML received")[2]
    text = " ".join(_MARKUP.sub(" ", page or str(error)).split())
    status = f"HTTP status {error.status}, " if isinstance(error, ForeignAnswerError) else ""
    said = f"{text[:_QUOTED]}..." if len(text) > _QUOTED else text
    return AwsError(
        f"What answered for AWS in {region} is not AWS: its answer cannot be read ({status}{said}).",
        hint="A proxy or a login page may stand in between: check HTTPS_PROXY, NO_PROXY and AWS_ENDPOINT_URL.",
    )


def encoded_denial(error: BaseException) -> str | None:
    """Return the encoded message of an EC2 denial, which STS can decode; None where there is none."""
    found = _ENCODED.search(str(error)) if code_of(error) in DENIED else None
    return found[1] if found else None


def explain(error: ClientError | BotoCoreError, *, region: str, denial: str = "") -> AwsError:
    """Say what happened and what to do; ``denial`` is the decoded message of an access denied (JSON), where known."""
    if not isinstance(error, ClientError):
        return _explain_local(error, region)
    code, message = code_of(error), str(error.response.get("Error", {}).get("Message", "")).strip()
    where = f"{error.operation_name} in {region}"
    if code in DENIED:
        reason = describe_denial(denial) if denial else _ENCODED.sub("", message).strip()
        hint = "`efsprov iac iam` prints the policy that efsprov needs; docs/reference/iam.md says what each action is for."
        if encoded_denial(error) and not denial:
            hint = f"Allow sts:DecodeAuthorizationMessage to be told which statement is in the way. {hint}"
        return AwsError(f"Access denied: {where}. {_sentence(reason)}", hint=hint)
    if code in _QUOTAS:
        return AwsError(
            f"{where}: {_QUOTAS[code]}. AWS says: {_sentence(message)}",
            hint="Ask for more under Service Quotas, free some, or choose another --instance-type or region.",
        )
    if code in _CREDENTIALS:
        return AwsError(f"{where}: {_CREDENTIALS[code]}. AWS says: {_sentence(message)}", hint=_SIGN_IN)
    if is_transient(error):
        return AwsError(
            f"{where} failed again and again: {code}. AWS says: {_sentence(message)}", hint="Try again in some minutes."
        )
    hint = _HINTS.get(code, "")
    if "instance profile" in message.lower():
        hint = "[ec2] instance_profile names it; `efsprov iac iam` prints the policies that its role and its user need."
    return AwsError(f"{where} failed: {code}. AWS says: {_sentence(message)}", hint=hint)


def describe_denial(decoded: str) -> str:
    """Say who may not do what to what, from the JSON that STS's DecodeAuthorizationMessage returns."""
    try:
        reply: dict[str, Any] = json.loads(decoded)
        context = reply.get("context", {})
        who = context.get("principal", {}).get("arn", "This identity")
        what, to = context.get("action", "this action"), context.get("resource", "the resource")
    except (ValueError, AttributeError):
        return decoded
    statements = (reply.get("matchedStatements") or {}).get("items") or []
    names = ", ".join(str(s.get("statementId")) for s in statements if s.get("statementId"))
    if reply.get("explicitDeny"):
        why = f"a statement denies it explicitly{f' ({names})' if names else ''}"
    else:
        why = "no statement allows it"
    return f"{who} may not {what} on {to}: {why}."


def _explain_local(error: BotoCoreError, region: str) -> AwsError:
    if isinstance(error, NoCredentialsError | PartialCredentialsError | SSOError | TokenRetrievalError):
        return AwsError(f"There are no usable AWS credentials: {_sentence(str(error))}", hint=_SIGN_IN)
    if isinstance(error, ProfileNotFound):
        return AwsError(
            _sentence(str(error)),
            hint="AWS_PROFILE names a profile of ~/.aws/config; `aws configure list-profiles` lists them.",
        )
    if isinstance(error, ForeignAnswerError):
        return explain_foreign(error, region=region)
    if isinstance(error, ConnectionError | HTTPClientError):
        return AwsError(
            f"AWS in {region} cannot be reached: {_sentence(str(error))}",
            hint="Check the network, the proxy and the region.",
        )
    return AwsError(_sentence(str(error)))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
