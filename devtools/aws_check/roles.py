"""The roles: the builders' and the function's, and one for each purpose whose policy efsprov prints.

Every command of the check runs as a caller that has exactly what `efsprov iac iam --for PURPOSE` prints, so that what AWS
denies shows here.
"""

import json
from collections.abc import Mapping
from typing import Any

from devtools.aws_check.account import PURPOSES, ROLES, Account, CheckError
from efsprov.emit.iam import policies
from efsprov.emit.iam_document import Document, Scope, trust


def scope(check: Account, purpose: str) -> Scope:
    """What the policies are narrowed to."""
    handed_out = {"ec2": "ec2-builder", "lambda": "lambda-builder"}.get(purpose, "function")
    return Scope(
        account=check.number,
        region=check.region,
        partition=check.partition,
        file_system=check.made.file_system,
        access_point=check.made.access_point,
        role=check.name(handed_out),
        functions=(check.name("user"),),
        builder_function=check.name("builder"),
        bucket=check.bucket,
        prefix="models/",
    )


def make_roles(check: Account) -> None:
    """Every role with its one policy; the EC2 builder's in an instance profile."""
    iam = check.client("iam")
    for name, (trusted, policy) in documents(check).items():
        role = check.name(name)
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trusted), Tags=check.tags())
        iam.put_role_policy(RoleName=role, PolicyName="efsprov", PolicyDocument=json.dumps(policy))
    profile = check.name("ec2-builder")
    iam.create_instance_profile(InstanceProfileName=profile, Tags=check.tags())
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=profile)


def documents(check: Account) -> Mapping[str, tuple[Document, Document]]:
    """Who may take each role, and what it may do."""
    caller = {"AWS": f"arn:{check.partition}:iam::{check.number}:root"}
    ours = {"Effect": "Allow", "Principal": caller, "Action": "sts:AssumeRole"}
    by_account = {"Version": "2012-10-17", "Statement": [ours]}
    printed = {purpose: policies(scope(check, purpose), purpose) for purpose in PURPOSES}
    made: dict[str, tuple[Document, Document]] = {
        "ec2-builder": (printed["ec2"]["builder-trust"], printed["ec2"]["builder"]),
        "lambda-builder": (printed["lambda"]["builder-trust"], printed["lambda"]["builder"]),
        "function": (trust("lambda.amazonaws.com"), printed["attach"]["function"]),
        **{f"as-{purpose}": (by_account, printed[purpose]["orchestrator"]) for purpose in PURPOSES},
    }
    if set(made) != set(ROLES):
        raise CheckError(f"Roles are made that are not removed: {set(made) ^ set(ROLES)}")
    return made


def credentials(check: Account, purpose: str) -> dict[str, str]:
    """The variables with which a command runs as a caller that may do one purpose's work, for an hour."""
    sts, role = check.client("sts"), check.arn("iam", f"role/{check.name(f'as-{purpose}')}", region="")

    def take() -> Mapping[str, Any]:
        found: Mapping[str, Any] = sts.assume_role(RoleArn=role, RoleSessionName="efsprov-check")["Credentials"]
        return found

    # a role that was just made may be taken after some seconds: the page cited in `until`
    taken = check.until(f"the role {role}", take, seconds=120)
    return {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }
