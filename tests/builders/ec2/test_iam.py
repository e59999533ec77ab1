"""The policies allow what efsprov really asks for, and nothing that it does not."""

from datetime import UTC, datetime, timedelta

import pytest

from efsprov.aws.session import open_session
from efsprov.builders.ec2.builder import Ec2Builder
from efsprov.builders.ec2.launch import Patience
from efsprov.builders.ec2.reap import Reaping
from efsprov.core.errors import AwsError, BuilderError
from efsprov.emit.iam import policies
from efsprov.emit.iam_document import Scope, actions_of
from tests.builders.conftest import StandIn


def test_the_policy_is_what_is_used(cloud, ask, heard):
    # a launch whose instance is never reached: everything is made, the console is read, everything is removed
    cloud.instances.fates.append({"fate": "no sshd"})
    builder = Ec2Builder(cloud.configured(), StandIn(), patience=Patience(boot=2, look=0.3))
    with pytest.raises(BuilderError, match="does not let us in"):
        builder.run(ask(), heard)
    # a denial is decoded
    cloud.aws.decoded["X"] = "{}"
    cloud.aws.fail("ec2:RunInstances", "UnauthorizedOperation", "Encoded authorization failure message: X", status=403)
    with pytest.raises(AwsError):
        builder.run(ask(), heard)
    # leftovers are marked and removed
    tags = [{"Key": "efsprov:run", "Value": "r"}, {"Key": "efsprov:expires", "Value": "2026-01-01T00:00:00Z"}]
    spec = [{"ResourceType": "security-group", "Tags": tags}]
    cloud.aws.client("ec2").create_security_group(
        GroupName="efsprov-r", Description="x", VpcId=cloud.vpc, TagSpecifications=spec
    )
    for clock in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):
        reaping = Reaping(open_session(), lambda clock=clock: clock)
        reaping.execute(reaping.plan(), lambda message: None)
    assert cloud.left() == []

    used = {sent.action.replace("efs:", "elasticfilesystem:") for sent in cloud.aws.sent} - {"sts:GetCallerIdentity"}
    used -= {"other:/moto-api/reset"}
    scope = Scope("123456789012", "eu-central-1", cloud.file_system, cloud.access_point)
    allowed = actions_of(policies(scope, "ec2")["orchestrator"])
    assert used <= allowed
    assert allowed - used == {"iam:PassRole"}, "asked for by RunInstances, on behalf of the caller"
