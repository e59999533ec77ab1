"""What a runtime brings, and what is said of a library that nobody brings."""

import pytest

from efsprov.core.runtime_libraries import AS_OF, LibraryNeeds, missing_libraries, runtime_libraries, shown
from efsprov.core.target import LAMBDA_RUNTIMES, host_target, lambda_target

TARGETS = [lambda_target(runtime.name, arch) for runtime in LAMBDA_RUNTIMES for arch in ("x86_64", "arm64")]


def lacking(soname, *, wheel="native-1.0-py3-none-any.whl", target=TARGETS[-1]):
    return missing_libraries([LibraryNeeds(wheel, frozenset(), {"native/a.so": (soname,)})], target)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_runtime_has_a_list_with_its_date(target):
    known = runtime_libraries(target)
    assert AS_OF[target.lambda_runtime.system]
    # what PEP 599's policy lets any wheel count on, and every image has: https://peps.python.org/pep-0599/
    assert {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libgcc_s.so.1", "libstdc++.so.6"} <= known
    # what the public reports say is missing (libGL: lambci/docker-lambda issue 318; libgomp: Open3D issue 4933)
    assert not {"libgomp.so.1", "libGL.so.1", "libsndfile.so.1", "libX11.so.6", "libcrypt.so.1"} & known


def test_nobody_knows_a_host():
    assert runtime_libraries(host_target(python="3.12", arch="x86_64", glibc=(2, 36))) is None


@pytest.mark.parametrize("soname", ["libgomp.so.1", "libsndfile.so.1", "libGL.so.1", "libSM.so.6", "libodd.so.9"])
def test_a_missing_one_is_reported_with_a_layer_as_the_way_out(soname):
    (remark,) = lacking(soname)
    assert soname in remark
    assert "add a layer that has it in lib/" in remark


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_the_runtime_has_is_not_reported(target):
    assert lacking("libz.so.1", target=target) == ()
    assert lacking(f"libpython{target.python}.so.1.0", target=target) == ()


def test_opencv_has_a_build_that_needs_no_display():
    (remark,) = lacking("libGL.so.1", wheel="opencv_python-4.8.0-cp37-abi3-manylinux_2_17_x86_64.whl")
    assert "take opencv-python-headless instead" in remark


@pytest.mark.parametrize(
    ("soname", "way"), [("libcuda.so.1", "take a CPU build"), ("libc.musl-x86_64.so.1", "take a manylinux wheel")]
)
def test_where_no_layer_helps(soname, way):
    (remark,) = lacking(soname)
    assert way in remark
    assert "layer" not in remark


def test_one_wheel_may_bring_what_another_needs():
    bringing = LibraryNeeds("other.whl", frozenset({"libgomp.so.1"}))
    needing = LibraryNeeds("native.whl", frozenset(), {"a.so": ("libgomp.so.1",)})
    assert missing_libraries([bringing, needing], TARGETS[0]) == ()
    assert missing_libraries([needing], TARGETS[0])


def test_many_are_cut_short_with_their_number():
    assert shown(("a",) * 12) == ("a",) * 12
    assert shown(("a",) * 20)[-1].startswith("8 more")
