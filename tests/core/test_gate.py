import pytest

from efsprov.core.errors import GateError
from efsprov.core.gate import gate, judge
from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.core.target import lambda_target
from efsprov.core.wheels import Reason

TARGET = lambda_target("python3.11", "x86_64")


def package(filename, size=None):
    name, version = filename.split("-")[:2]
    file = LockedFile(filename, f"https://host/{filename}", "0" * 64, size)
    return LockedPackage(
        name, version.removesuffix(".tar.gz"), *(((file,),) if filename.endswith(".whl") else ((), file))
    )


FITS = package("six-1-py3-none-any.whl", 10)
TOO_NEW = package("torch-2.7.0-cp311-cp311-manylinux_2_28_x86_64.whl", 700)
SOURCES = package("old-1.tar.gz")


def test_wheels_that_fit_pass_with_their_size():
    report = gate(Lock((FITS,), TARGET.name), TARGET)
    assert report.size == 10
    assert [verdict.misfit for verdict in report.verdicts] == [None]


def test_a_wheel_that_does_not_fit_is_named_with_the_reason():
    with pytest.raises(GateError, match=r"torch 2\.7\.0: its wheels need glibc 2\.28, the runtime has 2\.26"):
        gate(Lock((FITS, TOO_NEW)), TARGET)
    assert [v.misfit and v.misfit.reason for v in judge(Lock((FITS, TOO_NEW)), TARGET).verdicts] == [None, Reason.GLIBC]


def test_a_lock_for_another_target_is_refused():
    with pytest.raises(GateError, match=r"for python3\.12-x86_64, not for python3\.11-x86_64"):
        gate(Lock((FITS,), "python3.12-x86_64"), TARGET)


def test_sources_are_refused_unless_they_were_allowed():
    with pytest.raises(GateError, match=r"old-1\.tar\.gz") as caught:
        gate(Lock((SOURCES,)), TARGET)
    assert "--allow-sdists" in caught.value.hint
    assert gate(Lock((SOURCES,)), TARGET, allow_sdists=True).verdicts[0].misfit is None
