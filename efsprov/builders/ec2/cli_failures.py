"""What the AWS CLI says when the way in through it fails: what lasts, and what to do about it. Pure."""

from typing import Final

_LASTING: Final = (
    # (what its stderr has, what to do): the words are those of the AWS CLI and of AWS's error codes
    ("AccessDenied", "Allow whoever runs efsprov the actions that `efsprov iac iam --for ec2 --connect ...` prints."),
    ("UnauthorizedOperation", "Allow whoever runs efsprov the actions that `efsprov iac iam --for ec2` prints."),
    ("ExpiredToken", "`aws sts get-caller-identity` shows whether the credentials work; `aws sso login` renews them."),
    ("UnrecognizedClient", "`aws sts get-caller-identity` shows whether the credentials work."),
    ("Unable to locate credentials", "`aws sts get-caller-identity` shows whether the credentials work."),
    ("The config profile", "`aws configure list-profiles` lists the profiles that there are."),
    ("SessionManagerPlugin is not found", "Install the Session Manager plugin, or use another --connect."),
    ("nvalid choice", "The AWS CLI is too old for this: `aws --version` should say 2.12 or newer."),
    ("Unknown options", "The AWS CLI is too old for this: `aws --version` should say 2.12 or newer."),
)
_NOT_CONNECTED: Final = (
    "The instance has not registered with Systems Manager: its role needs AmazonSSMManagedInstanceCore, and its subnet a "
    "way to Systems Manager (a NAT gateway, or interface endpoints for ssm, ssmmessages and ec2messages)."
)


def lasting_failure(said: str) -> str:
    """Return what to do where the AWS CLI failed in a way that waiting does not end; "" where it may."""
    return next((hint for words, hint in _LASTING if words in said), "")


def hint_after_waiting(said: str) -> str:
    """Return what to do where waiting was in vain; "" where the words say nothing."""
    return _NOT_CONNECTED if "TargetNotConnected" in said else ""
