import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from efsprov.aws.functions import Mounted
from efsprov.core.errors import AwsError, ConflictError, GateError, NotFoundError, UsageError
from efsprov.functions.attachment import BEFORE, Attachment, plan_attachment, plan_detachment
from tests.functions.conftest import ACCESS_POINT, LAYER, OTHER_LAYER, after

OTHER_POINT = ACCESS_POINT.replace("0123", "9999")
OLDER = LAYER.rpartition(":")[0] + ":2"
WANTED = Attachment(
    access_point=ACCESS_POINT,
    mount_path="/mnt/efs",
    variables={"EFSPROV_ROOT": "/mnt/efs", "EFSPROV_CHANNEL": "tensorflow"},
    layer=LAYER,
)


def test_sets_what_is_wanted_and_keeps_the_rest(function):
    found = after(function(), plan_attachment(function(), WANTED).changes)
    assert found.mounted == (Mounted(ACCESS_POINT, "/mnt/efs"),)
    assert found.layers == (OTHER_LAYER, LAYER)
    assert {name: found.variables[name] for name in ("MINE", "EFSPROV_ROOT", "EFSPROV_CHANNEL")} == {
        "MINE": "1",
        "EFSPROV_ROOT": "/mnt/efs",
        "EFSPROV_CHANNEL": "tensorflow",
    }


def test_what_is_as_it_should_be_is_left_alone(function):
    attached = after(function(), plan_attachment(function(), WANTED).changes)
    plan = plan_attachment(attached, WANTED)
    assert (plan.changes, plan.settings) == ({}, ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variables=st.dictionaries(
        st.sampled_from(["MINE", "EFSPROV_ROOT", "EFSPROV_CHANNEL", "PATH"]), st.text(max_size=8)
    ),
    layers=st.lists(st.sampled_from([OTHER_LAYER, OLDER, LAYER, OTHER_LAYER + "0"]), unique=True, max_size=3),
    mounted=st.sampled_from([(), (Mounted(ACCESS_POINT, "/mnt/efs"),), (Mounted(OTHER_POINT, "/mnt/data"),)]),
    in_vpc=st.booleans(),
    others=st.lists(st.sampled_from(["tensorflow", "torch", "a,b"]), max_size=3),
)
def test_detach_gives_back_what_was_there(function, *, variables, layers, mounted, in_vpc, others):
    vpc = {} if in_vpc or mounted else {"subnets": (), "groups": ()}
    if OLDER in layers and LAYER in layers:
        layers.remove(OLDER)
    before = function(variables=variables, layers=tuple(layers), mounted=mounted, **vpc)
    found = before
    for channel in ["first", *others]:  # attached once, or again and again with something else
        wanted = WANTED.model_copy(
            update={
                "variables": {**WANTED.variables, "EFSPROV_CHANNEL": channel},
                "replace": True,
                "subnets": ("subnet-9",),
                "groups": ("sg-9",),
            }
        )
        found = after(found, plan_attachment(found, wanted).changes)
    assert BEFORE in found.variables or found == before
    if BEFORE in found.variables:
        assert after(found, plan_detachment(found).changes) == before


def test_what_was_changed_by_hand_since_stays(function):
    found = after(function(), plan_attachment(function(), WANTED).changes)
    moved = dataclasses.replace(found, mounted=(Mounted(OTHER_POINT, "/mnt/data"),), layers=(OTHER_LAYER,))
    plan = plan_detachment(moved)
    assert after(moved, plan.changes).mounted == moved.mounted
    assert after(moved, plan.changes).layers == moved.layers
    assert len(plan.notes) == 2


def test_another_file_system_is_not_replaced_unasked(function):
    with pytest.raises(ConflictError, match="another file system"):
        plan_attachment(function(mounted=(Mounted(OTHER_POINT, "/mnt/data"),)), WANTED)


def test_files_of_s3_are_not_taken_for_efs(function):
    other = Mounted("arn:aws:s3files:us-east-1:123456789012:file-system/fs-1/access-point/fsap-1", "/mnt/efs")
    assert not other.is_efs
    assert Mounted(ACCESS_POINT, "/mnt/efs").is_efs
    with pytest.raises(ConflictError, match="a file system of S3 Files"):
        plan_attachment(function(mounted=(other,)), WANTED)


def test_a_container_image_gets_no_layer(function):
    plan = plan_attachment(function(package="Image", runtime="", layers=()), WANTED.model_copy(update={"layer": ""}))
    assert "Layers" not in plan.changes
    assert "efsprov-bootstrap" in plan.notes[0]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"snap_start": True}, GateError, "SnapStart"),
        ({"subnets": (), "groups": ()}, UsageError, "in no VPC"),
        ({"layers": tuple(f"{OTHER_LAYER}{n}" for n in range(5))}, GateError, "5 layers"),
        ({"variables": {"LONG": "x" * 4050}}, GateError, "4 KB"),
        ({"variables": {BEFORE: "mine"}}, ConflictError, "not what efsprov wrote"),
    ],
)
def test_what_cannot_be_is_refused(function, fields, error, message):
    with pytest.raises(error, match=message):
        plan_attachment(function(**fields), WANTED)


def test_a_function_that_was_not_attached_cannot_be_detached(function):
    with pytest.raises(NotFoundError, match="was not attached"):
        plan_detachment(function())


@pytest.mark.parametrize("plan", [lambda f: plan_attachment(f, WANTED), plan_detachment], ids=["attach", "detach"])
def test_variables_that_cannot_be_read_are_never_written_back(function, plan):
    """Lambda answers Environment: {Error} where the key may not be used, and an update replaces all variables."""
    secret = function(variables={}, unreadable="AccessDeniedException: Lambda was unable to decrypt")
    with pytest.raises(AwsError, match=r"cannot be read \(AccessDeniedException: .*would lose them") as caught:
        plan(secret)
    assert "kms:Decrypt" in caught.value.hint


def test_a_function_that_joins_a_vpc_is_told_of_its_way_to_the_internet(function):
    wanted = WANTED.model_copy(update={"subnets": ("subnet-1",), "groups": ("sg-1",)})
    (note,) = plan_attachment(function(subnets=(), groups=(), vpc=""), wanted).notes
    assert "no way to the internet" in note
    assert plan_attachment(function(), wanted).notes == ()
