"""What the gate says of real frameworks, by the metadata of the real index. Nothing is downloaded."""

import os

import pytest

from efsprov.core.errors import GateError
from efsprov.core.gate import gate
from efsprov.core.target import lambda_target, targets_for
from efsprov.pipeline.resolve.requirement_files import read_requirements
from efsprov.pipeline.resolve.resolve import ResolveRequest, resolve
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings

pytestmark = pytest.mark.framework


def ask(requirement, *targets, **more):
    settings = installer_settings(InstallerSection(), os.environ, folder=more.pop("folder"))
    return resolve(ResolveRequest(read_requirements((requirement,), ()), targets, settings, **more))


def test_tensorflow_2_15_on_python_3_12(tmp_path):
    with pytest.raises(GateError) as caught:
        ask("tensorflow==2.15", lambda_target("python3.12", "x86_64"), folder=tmp_path)
    assert "tensorflow 2.15.0: its wheels are for CPython 3.9, CPython 3.10 or CPython 3.11" in caught.value.message
    assert "python3.9, python3.10 and python3.11 would do" in caught.value.hint


def test_tensorflow_2_15_takes_python_3_11_by_itself(tmp_path):
    resolution = ask("tensorflow==2.15", *targets_for("auto", "x86_64"), folder=tmp_path)
    assert resolution.target.runtime == "python3.11"
    assert len(gate(resolution.lock, resolution.target).verdicts) == len(resolution.lock.packages)
    arm = ask("tensorflow==2.15", *targets_for("auto", "arm64"), folder=tmp_path)
    assert arm.target.name == "python3.11-arm64"


def test_torch_2_7_does_not_run_on_python_3_11(tmp_path):
    with pytest.raises(GateError) as caught:
        ask("torch==2.7.0", lambda_target("python3.11", "x86_64"), torch_backend="cuda", folder=tmp_path)
    assert "torch 2.7.0: its wheels need glibc 2.28, the runtime has 2.26" in caught.value.message
    assert "From python3.12 on it works" in caught.value.hint


def test_torch_2_6_runs_on_python_3_11(tmp_path):
    resolution = ask("torch==2.6.0", lambda_target("python3.11", "x86_64"), torch_backend="cuda", folder=tmp_path)
    assert gate(resolution.lock, resolution.target)
    assert "torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl" in [p.file.filename for p in resolution.lock.packages]


def test_numpy_steps_back_to_what_glibc_2_26_can_run(tmp_path):
    resolution = ask("numpy", lambda_target("python3.11", "x86_64"), folder=tmp_path)
    assert resolution.lock.packages[0].version == "2.2.6"
