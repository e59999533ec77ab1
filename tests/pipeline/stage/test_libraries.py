import pytest

from efsprov.core.errors import GateError
from efsprov.core.target import host_target, lambda_target
from efsprov.pipeline.stage.inspect_wheel import inspect
from efsprov.pipeline.stage.libraries import check_libraries
from tests.pipeline.forge import AARCH64, CUDA, I386, elf, locked
from tests.wheelhouse import build_wheel

AL2 = lambda_target("python3.11", "x86_64")
AL2023 = lambda_target("python3.12", "x86_64")
OLD = elf([("libc.so.6", ["GLIBC_2.17"])])
NEW = elf([("libc.so.6", ["GLIBC_2.17", "GLIBC_2.34"])])


@pytest.fixture
def check(tmp_path):
    def check(files, target=AL2, tag="cp311-cp311-manylinux_2_17_x86_64"):
        wheel = inspect(path := build_wheel(tmp_path, "native", "1.0", files, tag=tag), locked(path))
        site = tmp_path / "site"
        for name, content in files.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_bytes(content)
        return check_libraries(site, dict.fromkeys(files, wheel), target).remarks

    return check


def test_libraries_that_fit(check):
    assert check({"native/a.so": OLD, "native/b.so": elf()}) == ()
    assert check({"native/a.so": NEW}, AL2023) == ()


def test_a_library_that_needs_more_than_its_wheels_tag_says(check):
    with pytest.raises(GateError) as caught:
        check({"native/a.so": OLD, "native/deep/b.so": NEW, "native/c.so": NEW})
    assert (
        "native/deep/b.so in native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl needs GLIBC_2.34 of libc.so.6"
        in caught.value.message
    )
    assert "(and 1 more of its kind)" in caught.value.message
    assert "has glibc 2.26" in caught.value.message
    assert "python3.12, python3.13, python3.14 and python3.15" in caught.value.hint


def test_what_no_runtime_has(check):
    with pytest.raises(GateError) as caught:
        check({"native/a.so": elf([("libc.so.6", ["GLIBC_2.99"])])}, AL2023)
    assert "No Lambda runtime has that" in caught.value.hint


@pytest.mark.parametrize("foreign", [AARCH64, I386])
def test_a_wheel_with_libraries_for_another_machine_only(check, foreign):
    with pytest.raises(GateError, match=r"has libraries for \w+ only"):
        check({"native/a.so": elf(machine=foreign), "native/data.bin": elf(machine=CUDA)})


def test_a_wheel_for_any_platform_may_bring_libraries_for_several(check):
    remarks = check({"native/a.so": elf(machine=AARCH64), "native/b.so": OLD}, tag="py3-none-any")
    assert len(remarks) == 1
    assert "native/a.so" in remarks[0]
    assert check({"native/a.so": elf(machine=AARCH64)}, tag="py3-none-any")


def test_another_machines_needs_do_not_count(check):
    assert check({"native/a.so": elf([("libc.so.6", ["GLIBC_2.99"])], machine=AARCH64), "native/b.so": OLD})


def test_a_damaged_library_is_remarked_on(check):
    assert "native/a.so" in check({"native/a.so": OLD[:100], "native/b.so": OLD})[0]


GOMP = elf(needed=["libgomp.so.1", "libc.so.6", "libm.so.6"])


def test_a_system_library_that_nobody_brings_is_reported_with_the_way_out(check):
    (remark,) = check({"native/a.so": GOMP, "native/b.so": GOMP, "native/c.so": OLD}, AL2023)
    assert remark.startswith("native/a.so of native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl and 1 more needs")
    assert "libgomp.so.1, which no wheel of the release brings and the python3.12 runtime may lack" in remark
    assert "add a layer that has it in lib/ (on Amazon Linux 2023: the package libgomp)" in remark


@pytest.mark.parametrize("brought", ["libgomp.so.1", "libs/libgomp-24e2ab19.so.1.0.0"])
def test_what_the_release_brings_by_name_or_soname_is_there(check, brought):
    assert check({"native/a.so": GOMP, f"native/{brought}": elf(soname="libgomp.so.1")}) == ()


def test_another_machines_library_brings_nothing(check):
    files = {"native/a.so": GOMP, "native/libgomp.so.1": elf(machine=AARCH64, soname="libgomp.so.1")}
    assert any("libgomp.so.1, which" in remark for remark in check(files))


def test_what_only_the_newer_system_has(check):
    curl = {"native/a.so": elf(needed=["libcurl.so.4"])}
    assert check(curl, AL2023) == ()
    assert "python3.11 runtime may lack" in check(curl, AL2)[0]


def test_a_host_is_asked_nothing(check):
    assert check({"native/a.so": GOMP}, host_target(python="3.11", arch="x86_64", glibc=(2, 36))) == ()


def test_arm64_has_its_own_loader(check):
    files = {"native/a.so": elf(needed=["ld-linux-aarch64.so.1", "libc.so.6"], machine=AARCH64)}
    tag = "cp312-cp312-manylinux_2_28_aarch64"
    assert check(files, lambda_target("python3.12", "arm64"), tag=tag) == ()
