"""What IAM knows of resources that a request only names: their tags, whose they are. Asked of the double's own backends."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from devtools.strict_aws.wire import Call

ACCOUNT = "123456789012"  # moto's, and the Lambda sandbox's


class World:
    """Looks at the account by ``client``, which nothing is refused to and whose requests are not under test."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self._client = client
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()  # boto3's sessions make one client at a time

    def _of(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._client(service, region=region)
            return self._clients[service, region]

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a resource; none where it is not there, or its tags are not known here."""
        _, _, service, region, _, resource = arn.split(":", 5)
        try:
            match service:
                case "ec2":
                    kind, _, name = resource.partition("/")
                    if kind == "key-pair":
                        found = (
                            self._of("ec2", region).describe_key_pairs(KeyNames=[name])["KeyPairs"][0].get("Tags", [])
                        )
                    else:
                        request = [{"Name": "resource-id", "Values": [name]}]
                        found = self._of("ec2", region).describe_tags(Filters=request)["Tags"]
                    return {tag["Key"]: tag["Value"] for tag in found}
                case "lambda":
                    return dict(self._of("lambda", region).list_tags(Resource=arn).get("Tags", {}))
                case "iam" if resource.startswith("role/"):
                    role = resource.rpartition("/")[2]
                    response = self._of("iam", region or "us-east-1").list_role_tags(RoleName=role)["Tags"]
                    return {tag["Key"]: tag["Value"] for tag in response}
        except ClientError:
            return {}
        return {}

    def policies_of_role(self, role: str) -> tuple[Mapping[str, Any], ...] | None:
        """The policies of a role, inline and attached; None for a role that is not there."""
        iam, name = self._of("iam", "us-east-1"), role.rpartition("/")[2]
        try:
            inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
            found = [iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in inline]
            attached = [
                each["PolicyArn"] for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            ]
            versions = {each: iam.get_policy(PolicyArn=each)["Policy"]["DefaultVersionId"] for each in attached}
            response = [iam.get_policy_version(PolicyArn=each, VersionId=version) for each, version in versions.items()]
            found += [each["PolicyVersion"]["Document"] for each in response]
        except ClientError:
            return None
        return tuple(json.loads(each) if isinstance(each, str) else each for each in found)

    def key_name(self, key_pair: str, region: str) -> str:
        """The name of a key pair; its id where it is not there."""
        try:
            found = self._of("ec2", region).describe_key_pairs(KeyPairIds=[key_pair])["KeyPairs"]
        except ClientError:
            return key_pair
        return str(found[0]["KeyName"]) if found else key_pair

    def file_system_of_target(self, mount_target: str, region: str) -> str:
        """The file system of a mount target; "" for one that is not there."""
        try:
            response = self._of("efs", region).describe_mount_targets(MountTargetId=mount_target)["MountTargets"]
        except ClientError:
            return ""
        return str(response[0]["FileSystemId"]) if response else ""

    def file_system_of_point(self, access_point: str, region: str) -> str:
        """The file system of an access point, by its id or ARN; "" for one that is not there."""
        try:
            response = self._of("efs", region).describe_access_points(AccessPointId=access_point.rpartition("/")[2])
        except ClientError:
            return ""
        return str(response["AccessPoints"][0]["FileSystemId"])

    def role_of_profile(self, profile: str) -> str:
        """The ARN of the role of an instance profile, by its name or ARN; "" where it has none."""
        try:
            response = self._of("iam", "us-east-1").get_instance_profile(InstanceProfileName=profile.rpartition("/")[2])
        except ClientError:
            return ""
        roles = response["InstanceProfile"]["Roles"]
        return str(roles[0]["Arn"]) if roles else ""


def request_tags(call: Call) -> Mapping[str, str]:
    """The tags that a request puts on, where it names no kinds of resources as EC2's do."""
    given = call.parameters.get("Tags") or call.parameters.get("tags") or call.parameters.get("TagList") or {}
    if isinstance(given, dict):
        return {str(name): str(value) for name, value in given.items()}
    return {
        str(tag.get("Key", tag.get("key", ""))): str(tag.get("Value", tag.get("value", "")))
        for tag in given
        if isinstance(tag, dict)
    }
