import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import GateError
from efsprov.core.target import host_target, lambda_target
from efsprov.core.wheels import Reason, misfit, rank

AL2 = lambda_target("python3.11", "x86_64")
AL2023 = lambda_target("python3.12", "x86_64")
ARM = lambda_target("python3.11", "arm64")

TENSORFLOW = [
    "tensorflow-2.15.0-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "tensorflow-2.15.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "tensorflow-2.15.0-cp311-cp311-macosx_12_0_arm64.whl",
    "tensorflow-2.15.0-cp39-cp39-win_amd64.whl",
]
TORCH = [
    "torch-2.7.0-cp311-cp311-manylinux_2_28_aarch64.whl",
    "torch-2.7.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    "torch-2.7.0-cp311-none-macosx_11_0_arm64.whl",
    "torch-2.7.0-cp312-cp312-manylinux_2_28_x86_64.whl",
]


@pytest.mark.parametrize(
    ("filename", "target"),
    [
        ("tensorflow-2.15.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", AL2),
        ("torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl", AL2),
        ("torch-2.6.0+cpu-cp311-cp311-linux_x86_64.whl", AL2),
        ("triton-3.2.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", AL2),
        ("cryptography-50.0.2-cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", AL2),
        ("wrapt-1.14.2-cp311-cp311-manylinux1_x86_64.manylinux_2_28_x86_64.manylinux_2_5_x86_64.whl", AL2),
        ("termcolor-3.3.0-py3-none-any.whl", AL2),
        ("six-1.17.0-py2.py3-none-any.whl", AL2),
        ("libclang-18.1.1-py2.py3-none-manylinux2010_x86_64.whl", AL2),
        ("pkg-1-1build-py3-none-any.whl", AL2),
        ("numpy-2.2.6-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", ARM),
        ("torch-2.7.0-cp312-cp312-manylinux_2_28_x86_64.whl", AL2023),
    ],
)
def test_real_wheels_that_fit(filename, target):
    assert rank(filename, target) is not None
    assert misfit([filename], target) is None


@pytest.mark.parametrize(
    ("filenames", "target", "reason", "text"),
    [
        (TENSORFLOW, AL2023, Reason.INTERPRETER, "are for CPython 3.9, CPython 3.10 or CPython 3.11, the target is CPython 3.12"),
        (TORCH, AL2, Reason.GLIBC, "need glibc 2.28, the runtime has 2.26"),
        (TORCH, ARM, Reason.GLIBC, "need glibc 2.28, the runtime has 2.26"),
        (TENSORFLOW, ARM, Reason.ARCHITECTURE, "are for x86_64, the target is aarch64"),
        (["a-1-cp311-cp311-musllinux_1_2_x86_64.whl"], AL2, Reason.LIBC, "are for musl, the runtime has glibc"),
        (["a-1-cp311-cp311-win_amd64.whl"], AL2, Reason.SYSTEM, "are for win_amd64, the target is Linux"),
        (["a-1-cp313-abi3-manylinux_2_17_x86_64.whl"], AL2, Reason.INTERPRETER, "are for CPython 3.13, the target is CPython 3.11"),
        (["a-1-cp311-cp311t-linux_x86_64.whl"], AL2, Reason.INTERPRETER, "are for CPython 3.11 free-threaded, the target is CPython 3.11"),
        (["a-1-pp311-pypy311_pp73-linux_x86_64.whl"], AL2, Reason.INTERPRETER, "are for pp311, the target is CPython 3.11"),
        (["a-1-py2-none-any.whl"], AL2, Reason.INTERPRETER, "are for py2, the target is CPython 3.11"),
    ],
)  # fmt: skip
def test_the_nearest_reason_is_given(filenames, target, reason, text):
    found = misfit(filenames, target)
    assert found.reason is reason
    assert str(found) == text


def test_a_host_is_not_called_a_runtime():
    host = host_target(python="3.11", arch="x86_64", glibc=(2, 20))
    assert str(misfit(TORCH, host)) == "need glibc 2.28, this machine has 2.20"


def test_the_oldest_glibc_of_several_is_named():
    names = ["onnxruntime-1-cp311-cp311-manylinux_2_28_x86_64.manylinux_2_27_x86_64.whl"]
    assert misfit(names, AL2).needs == ("2.27",)


def test_nothing_is_no_misfit():
    assert misfit([], AL2) is None


@given(st.integers(5, 60), st.sampled_from(["python3.11", "python3.13"]))
def test_glibc_alone_decides_for_a_wheel_of_the_right_interpreter(minor, runtime):
    target = lambda_target(runtime, "x86_64")
    interpreter = f"cp{target.python.replace('.', '')}"
    name = f"a-1-{interpreter}-{interpreter}-manylinux_2_{minor}_x86_64.whl"
    assert (rank(name, target) is not None) == (minor <= target.glibc[1])


def test_what_is_not_a_wheels_name_is_refused():
    with pytest.raises(GateError, match="not a wheel's file name"):
        rank("torch.whl", AL2)
