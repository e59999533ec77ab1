"""Where a builder may stand: pure decisions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.aws.compute import TypeFacts
from efsprov.aws.filesystems import MountTarget
from efsprov.aws.network import PortRule, Subnet
from efsprov.builders.ec2.placement import ClientGroups, candidates, client_groups, usable_subnets
from efsprov.core.errors import BuilderError

A, B = (Subnet(f"subnet-{z}", "vpc-1", f"eu-central-1{z}", f"10.0.{n}.0/24") for n, z in enumerate("ab"))
TARGETS = tuple(MountTarget(f"fsmt-{s.zone[-1]}", s.id, s.zone, "10.0.0.9", "available", ("sg-mt",)) for s in (A, B))
SUBNETS = {s.id: s for s in (A, B)}


def rule(first=2049, last=2049, **source):
    return PortRule("sg-mt", first, last, **source)


@pytest.mark.parametrize(
    ("rules", "groups"),
    [
        ([rule(blocks=("10.0.0.0/16",))], ()),
        ([rule(blocks=("10.0.0.0/24", "10.0.1.0/24"))], ()),
        ([rule(0, 65535, blocks=("0.0.0.0/0",))], ()),
        ([rule(groups=("sg-clients",))], ("sg-clients",)),
        ([rule(groups=("sg-mt",))], ("sg-mt",)),
        ([rule(22, 22, blocks=("10.0.0.0/16",)), rule(groups=("sg-clients",))], ("sg-clients",)),
        ([rule(blocks=("10.0.0.0/24",)), rule(groups=("sg-clients",))], ("sg-clients",)),
    ],
)
def test_the_instance_gets_the_group_that_is_let_in_where_one_is_needed(rules, groups):
    assert client_groups("fs-1", TARGETS, rules, (A, B), ()) == ClientGroups(groups)


def test_groups_of_the_users_own_come_first_and_may_be_enough():
    assert client_groups("fs-1", TARGETS, [rule(groups=("sg-x", "sg-mine"))], (A, B), ("sg-mine",)).groups == (
        "sg-mine",
    )
    assert client_groups("fs-1", TARGETS, [rule(groups=("sg-x",))], (A, B), ("sg-mine",)).groups == ("sg-mine", "sg-x")


@pytest.mark.parametrize("rules", [[], [rule(22, 22, blocks=("0.0.0.0/0",))], [rule(blocks=("192.168.0.0/16",))]])
def test_a_mount_target_that_lets_nobody_in_is_named(rules):
    with pytest.raises(BuilderError, match="fsmt-a of fs-1 lets no builder in") as caught:
        client_groups("fs-1", TARGETS, rules, (A, B), ())
    assert "--port 2049" in caught.value.hint


@pytest.mark.parametrize("source", ["pl-0123456789abcdef0", "2001:db8::/32"])
def test_a_source_that_is_not_resolved_is_a_warning(source):
    found = client_groups("fs-1", TARGETS, [rule(unread=(source,))], (A, B), ())
    assert found.groups == ()
    assert [source in warning for warning in found.warnings] == [True, True]
    understood = [rule(unread=(source,)), rule(groups=("sg-clients",))]
    assert client_groups("fs-1", TARGETS, understood, (A, B), ()) == ClientGroups(("sg-clients",))
    with pytest.raises(BuilderError, match="lets no builder in"):
        client_groups("fs-1", TARGETS, [rule(22, 22, unread=(source,))], (A, B), ())


def test_a_mount_target_has_to_let_in_its_own_zone_alone():
    own = [
        PortRule(f"sg-{subnet.zone[-1]}", 2049, 2049, blocks=(subnet.cidr,)) for subnet in (A, B)
    ]  # each lets in the subnet of its zone, and not the other
    targets = [replace(target, groups=(f"sg-{target.zone[-1]}",)) for target in TARGETS]
    assert client_groups("fs-1", targets, own, (A, B), ()) == ClientGroups(())


def test_each_type_is_asked_for_in_all_zones_before_the_next():
    facts = {n: TypeFacts(n, ("x86_64",), (A.zone, B.zone)) for n in ("big", "small")}
    facts["small"] = TypeFacts("small", ("x86_64",), (B.zone,))
    assert [str(c) for c in candidates(("big", "small", "unknown"), facts, "x86_64", (A, B))] == [
        "big in eu-central-1a",
        "big in eu-central-1b",
        "small in eu-central-1b",
    ]
    with pytest.raises(BuilderError, match="None of unknown is offered"):
        candidates(("unknown",), facts, "x86_64", (A, B))
    with pytest.raises(BuilderError, match="the target is arm64"):
        candidates(("big",), facts, "arm64", (A, B))


zones = st.lists(st.sampled_from("abc"), unique=True)


@given(zones, zones, zones)
def test_a_subnet_is_usable_if_and_only_if_its_zone_has_an_available_mount_target(available, creating, named):
    subnets = {f"subnet-{z}": Subnet(f"subnet-{z}", "vpc-1", z, "10.0.0.0/24") for z in "abc"}
    targets = [MountTarget(f"fsmt-{z}", f"subnet-{z}", z, "", "available", ()) for z in available]
    targets += [MountTarget(f"fsmt-{z}", f"subnet-{z}", z, "", "creating", ()) for z in creating if z not in available]
    wanted = [f"subnet-{z}" for z in named]
    try:
        usable = {s.zone for s in usable_subnets("fs-1", targets, subnets, wanted)}
    except BuilderError:
        assert not available or not set(named) <= set(available)
    else:
        assert usable == set(named or available)
        assert usable <= set(available)
