"""The ARN of an access point, which Lambda wants, from the id, which people have."""

from efsprov.aws.identity import who_am_i
from efsprov.aws.session import Aws
from efsprov.core.access_point import access_point_id


def access_point_arn(text: str, aws: Aws) -> str:
    """Return the ARN of an access point that is named by its id or its ARN; of an id, that of the caller's account.

    Raises ``UsageError`` for anything else, ``AwsError`` where the account is not known.
    """
    point = access_point_id(text)
    if text != point:
        return text
    caller = who_am_i(aws)
    partition = caller.arn.split(":")[1]
    return f"arn:{partition}:elasticfilesystem:{aws.region}:{caller.account}:access-point/{point}"
