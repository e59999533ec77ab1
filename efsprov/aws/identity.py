"""Who the credentials belong to."""

from dataclasses import dataclass

from efsprov.aws.session import Aws


@dataclass(frozen=True)
class Identity:
    """An AWS principal: its account's number and its ARN."""

    account: str
    arn: str


def who_am_i(aws: Aws) -> Identity:
    """Return the caller's identity; raises ``AwsError`` when there are no credentials or they do not work."""
    response = aws.call(aws.sts.get_caller_identity)
    return Identity(response["Account"], response["Arn"])
