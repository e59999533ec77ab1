import pytest

from efsprov.core.errors import GateError, NotFoundError, UsageError
from efsprov.functions.channels import ChannelFacts, fitting_channel, stated_channels

FACTS = (
    ChannelFacts(name="tf", target="python3.11-x86_64", current="20261121T063000Z-3f2a9c1b"),
    ChannelFacts(name="tf", target="python3.12-arm64", current="20261121T063000Z-3f2a9c1b"),
    ChannelFacts(name="own", target="python3.11-x86_64-glibc2.36", current="20261121T063000Z-3f2a9c1b"),
    ChannelFacts(name="new", target="python3.11-x86_64"),
)


@pytest.mark.parametrize(("runtime", "arch"), [("python3.11", "x86_64"), ("python3.12", "arm64")])
def test_the_part_for_the_runtime_and_architecture_is_taken(runtime, arch):
    assert fitting_channel(FACTS, "tf", function="f", runtime=runtime, arch=arch).target == f"{runtime}-{arch}"


@pytest.mark.parametrize(
    ("name", "runtime", "arch"),
    [
        ("tf", "python3.12", "x86_64"),
        ("tf", "python3.11", "arm64"),
        ("tf", "python3.13", "x86_64"),
        ("tf", "nodejs22.x", "x86_64"),
        ("own", "python3.11", "x86_64"),
        ("own", "", "arm64"),
    ],
)
def test_a_wrong_runtime_or_architecture_is_refused(name, runtime, arch):
    with pytest.raises(GateError, match=f"channel {name} has releases for python3.11-x86_64") as raised:
        fitting_channel(FACTS, name, function="f", runtime=runtime, arch=arch)
    assert f"--arch {arch}" in raised.value.hint


def test_a_container_image_takes_what_fits_its_architecture():
    assert (
        fitting_channel(FACTS, "own", function="f", runtime="", arch="x86_64").target == "python3.11-x86_64-glibc2.36"
    )


@pytest.mark.parametrize(("name", "message"), [("none", "no channel none"), ("new", "no current release")])
def test_a_channel_without_a_release_is_reported(name, message):
    with pytest.raises(NotFoundError, match=message):
        fitting_channel(FACTS, name, function="f", runtime="python3.11", arch="x86_64")


def test_the_users_word_has_to_be_a_target():
    assert stated_channels(["a"], "python3.11-x86_64")[0].target == "python3.11-x86_64"
    with pytest.raises(UsageError):
        stated_channels(["a"], "python2.7")
