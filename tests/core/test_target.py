from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag

from efsprov.core.errors import UsageError
from efsprov.core.target import ARCHES, LAMBDA_RUNTIMES, Target, host_target, lambda_target, targets_for, wheel_tags

lambda_targets = st.builds(lambda_target, st.sampled_from([r.name for r in LAMBDA_RUNTIMES]), st.sampled_from(ARCHES))
host_targets = st.builds(
    host_target,
    python=st.integers(9, 14).map(lambda minor: f"3.{minor}"),
    arch=st.sampled_from(ARCHES),
    glibc=st.tuples(st.just(2), st.integers(17, 60)),
)
targets = lambda_targets | host_targets


@given(targets)
def test_a_target_is_read_back_from_its_name(target):
    assert Target.parse(target.name) == target


def test_names():
    assert lambda_target("python3.11", "arm64").name == "python3.11-arm64"
    assert host_target(python="3.13", arch="x86_64", glibc=(2, 41)).name == "python3.13-x86_64-glibc2.41"


@pytest.mark.parametrize(
    "name",
    ["", "python3.11", "python3.8-x86_64", "python3.11-i686", "python3.11-x86_64-glibc3.1", "../python3.11-x86_64"],
)
def test_what_is_no_target_is_refused(name):
    with pytest.raises(UsageError):
        Target.parse(name)


def test_auto_is_every_runtime_newest_first():
    assert [t.runtime for t in targets_for("auto", "arm64")] == [
        "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9",
    ]  # fmt: skip
    assert [t.name for t in targets_for("python3.12", "arm64")] == ["python3.12-arm64"]


def test_an_unknown_runtime_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError) as caught:
        targets_for("python2.7", "x86_64")
    assert "python3.9" in caught.value.hint
    assert "host" in caught.value.hint


@pytest.mark.parametrize(
    ("runtime", "fits", "unfit"),
    [
        ("python3.11", "cp311-cp311-manylinux_2_26_x86_64", "cp311-cp311-manylinux_2_27_x86_64"),
        ("python3.11", "cp311-cp311-manylinux2014_x86_64", "cp311-cp311-manylinux2014_aarch64"),
        ("python3.11", "cp311-cp311-manylinux1_x86_64", "cp311-cp311-musllinux_1_1_x86_64"),
        ("python3.11", "cp37-abi3-manylinux_2_17_x86_64", "cp312-abi3-manylinux_2_17_x86_64"),
        ("python3.11", "py3-none-any", "py2-none-any"),
        ("python3.11", "cp311-none-any", "cp310-none-any"),
        ("python3.11", "cp311-cp311-linux_x86_64", "cp311-cp311-linux_i686"),
        ("python3.12", "cp312-cp312-manylinux_2_34_x86_64", "cp312-cp312-manylinux_2_35_x86_64"),
        ("python3.13", "cp313-cp313-manylinux_2_28_x86_64", "cp313-cp313t-manylinux_2_28_x86_64"),
    ],
)
def test_tags_that_fit_and_that_do_not(runtime, fits, unfit):
    tags = wheel_tags(lambda_target(runtime, "x86_64"))
    assert Tag(*fits.split("-")) in tags
    assert Tag(*unfit.split("-")) not in tags


def test_arm64_has_no_manylinux_older_than_2014():
    platforms = {tag.platform for tag in wheel_tags(lambda_target("python3.11", "arm64"))}
    assert "manylinux2014_aarch64" in platforms
    assert not {
        p for p in platforms if p.startswith(("manylinux1_", "manylinux2010_", "manylinux_2_5_", "manylinux_2_16_"))
    }


@given(targets)
def test_newer_glibc_ranks_before_older_and_a_platform_before_any(target):
    ranks = target.tag_ranks
    own = f"cp{target.python.replace('.', '')}"
    newest = Tag(own, own, f"manylinux_2_{target.glibc[1]}_{target.machine}")
    older = Tag(own, own, f"manylinux_2_17_{target.machine}")
    assert ranks[newest] == 0
    assert ranks[newest] <= ranks[older] < ranks[Tag(own, "abi3", older.platform)] < ranks[Tag("py3", "none", "any")]


@given(targets)
def test_a_newer_glibc_only_adds_tags(target):
    newer = host_target(python=target.python, arch=target.arch, glibc=(2, target.glibc[1] + 1))
    assert set(wheel_tags(target)) < set(wheel_tags(newer))


def test_runtimes_that_have_ended_or_soon_will_are_remarked_on():
    runtime = lambda_target("python3.10", "x86_64").lambda_runtime
    assert runtime.remark(date(2026, 1, 1)) == ""
    assert "ends its support" in runtime.remark(date(2026, 8, 1))
    assert "ended its support" in runtime.remark(date(2026, 10, 31))
    assert host_target(python="3.11", arch="x86_64", glibc=(2, 36)).lambda_runtime is None


def test_a_runtime_in_preview_is_built_for_when_named_and_never_by_auto():
    preview = [runtime for runtime in LAMBDA_RUNTIMES if runtime.ends is None]
    assert [runtime.name for runtime in preview] == ["python3.15"]
    for runtime in preview:
        assert runtime.name not in {target.runtime for target in targets_for("auto", "x86_64")}
        assert [target.runtime for target in targets_for(runtime.name, "x86_64")] == [runtime.name]
        assert f"The {runtime.name} runtime is in preview" in runtime.remark(date(2026, 11, 26))


def test_the_reference_lists_the_runtimes_as_they_are():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "targets.md").read_text()
    for runtime in LAMBDA_RUNTIMES:
        glibc = ".".join(map(str, runtime.glibc))
        tag = f"manylinux_{glibc.replace('.', '_')}"
        assert f"| `{runtime.name}` | {runtime.system} | {glibc} | `{tag}` | {runtime.ends or 'in preview'} |" in page
