"""The policies that `efsprov iac iam --for ec2` prints are what the runs take: all of it is allowed, and none is left over."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from devtools.strict_aws import proof, roles
from devtools.strict_aws.double import REGION
from efsprov.aws.session import open_session
from efsprov.builders.ec2.builder import Ec2Builder
from efsprov.builders.ec2.launch import Timeouts
from efsprov.builders.ec2.reap import Reaping
from efsprov.core.errors import AwsError, BuilderError, EfsprovError
from tests.builders.conftest import StandIn
from tests.builders.ec2.test_builder import tunnel
from tests.printed_policies import printed_policies

RUN_TAGS = {"efsprov:run": "r"}


def scope(cloud, *more):
    return ("--file-system", cloud.file_system, *more)


@pytest.fixture
def principal(cloud, monkeypatch):
    """Makes a caller with policies, as whom everything is done from then on."""

    def become(*documents):
        made = cloud.aws.identities.add("ann", documents)
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        return made

    return become


def launch_and_fail(cloud, ask, heard, **settings):
    """A launch whose instance is never reached: everything is made, the console is read, everything is removed."""
    cloud.instances.fates.append({"fate": "no sshd"})
    builder = Ec2Builder(cloud.configured(**settings), StandIn(), timeouts=Timeouts(boot=2, inspect=0.3))
    with pytest.raises(BuilderError, match="refused the login") as caught:
        builder.run(ask(), heard)
    assert "Its console last said:" in caught.value.message


def be_denied(cloud, ask, heard):
    """A denial is decoded."""
    cloud.aws.identities.decoded["X"] = "{}"
    message = "Encoded authorization failure message: X"
    cloud.aws.fail("ec2:RunInstances", "UnauthorizedOperation", message, status=403)
    with pytest.raises(AwsError) as caught:
        cloud.builder().run(ask(), heard)
    assert "sts:DecodeAuthorizationMessage" not in caught.value.hint, caught.value


def reap_leftovers(cloud):
    """Leftovers are marked, and removed a day later."""
    tags = [{"Key": "efsprov:run", "Value": "r"}, {"Key": "efsprov:expires", "Value": "2026-01-01T00:00:00Z"}]
    ec2 = cloud.aws.client("ec2")

    def spec(kind):
        return [{"ResourceType": kind, "Tags": tags}]

    ec2.create_security_group(
        GroupName="efsprov-r", Description="x", VpcId=cloud.vpc, TagSpecifications=spec("security-group")
    )
    ec2.create_key_pair(KeyName="efsprov-r", TagSpecifications=spec("key-pair"))
    for clock in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):
        reaping = Reaping(open_session(), lambda clock=clock: clock)
        reaping.execute(reaping.plan(), lambda message: None)


def everything(cloud, ask, heard):
    launch_and_fail(cloud, ask, heard)
    launch_and_fail(cloud, ask, heard, spot=True)
    be_denied(cloud, ask, heard)
    reap_leftovers(cloud)
    assert cloud.left() == []


def asked_of(cloud, principal):
    return [requests.check for requests in cloud.aws.identities.requests if requests.principal == principal.arn]


@pytest.mark.parametrize("point", [True, False])
def test_the_policy_is_what_is_used(cloud, ask, heard, principal, point):
    options = ("--access-point", cloud.access_point) if point else ()
    document = printed_policies("ec2", *scope(cloud, *options), region=REGION)["orchestrator"]
    if not point:
        cloud.settings["access_point"] = None
    ann = principal(document)
    everything(cloud, ask, heard)
    checks = asked_of(cloud, ann)
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == []


@pytest.mark.parametrize("connect", ["ssm", "endpoint", "private"])
def test_the_policy_is_what_each_ingress_takes(cloud, ask, heard, principal, tmp_path, monkeypatch, connect):
    options = scope(cloud, "--access-point", cloud.access_point, "--connect", connect)
    document = printed_policies("ec2", *options, region=REGION)["orchestrator"]
    tunnel(tmp_path / "bin", cloud)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    ann = principal(document)
    address = "192.0.2.7" if connect == "private" else None
    cloud.builder(connect=connect, address=address).run(ask(), heard)
    launch_and_fail(cloud, ask, heard, spot=True, connect=connect, address=address)
    be_denied(cloud, ask, heard)
    reap_leftovers(cloud)
    assert cloud.left() == []
    checks = asked_of(cloud, ann)
    # what the AWS command line asks for, which stands at the other end of the tunnel
    checks += {
        "ssm": list(roles.open_a_session("i-0123456789abcdef0", RUN_TAGS, REGION)),
        "endpoint": list(roles.open_a_tunnel(REGION)),
    }.get(connect, [])
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == []


@pytest.mark.parametrize("point", [True, False])
@pytest.mark.parametrize("connect", ["public", "ssm"])
def test_the_builders_role_may_do_what_it_has_to_and_no_more(cloud, point, connect):
    options = scope(cloud, "--connect", connect, *(("--access-point", cloud.access_point) if point else ()))
    document = printed_policies("ec2", *options, region=REGION)["builder"]
    mounting = roles.mount(
        cloud.file_system, REGION, access_point=cloud.access_point if point else None, write=True, root=not point
    )
    checks = [*mounting, *(roles.answer_to_systems_manager(REGION) if connect == "ssm" else ())]
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == []
    others = [
        *roles.mount("fs-0123456789abcdef1", REGION, access_point=cloud.access_point, write=True),
        *(roles.mount(cloud.file_system, REGION, write=True) if point else ()),
    ]
    assert len(proof.refused([document], others)) == len(others), "nor another file system, nor around the access point"


def actions_of_the_policy():
    document = printed_policies(
        "ec2", "--file-system", "fs-12345678", "--access-point", "fsap-12345678", region=REGION
    )["orchestrator"]
    return [
        pytest.param(number, action, id=f"{document['Statement'][number]['Sid']}-{action}")
        for number, action in proof.parts(document)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "action"), actions_of_the_policy())
def test_without_any_one_action_a_run_fails(cloud, ask, heard, principal, number, action):
    document = printed_policies("ec2", *scope(cloud, "--access-point", cloud.access_point), region=REGION)[
        "orchestrator"
    ]
    principal(proof.without(document, number, action))
    with pytest.raises((EfsprovError, AssertionError)):
        everything(cloud, ask, heard)
