import sys
from pathlib import Path

import pytest

from devtools.lambda_sandbox import Bind, Function, LambdaEnvironment, Runtime, SandboxUnavailableError

SAMPLES = Path(__file__).with_name("samples")


def test_virtual_environment_stands_for_the_interpreter_that_it_was_made_from(lambda_runtime):
    assert lambda_runtime.name == "python{}.{}".format(*sys.version_info)
    assert lambda_runtime.prefix == Path(sys.base_prefix).resolve()
    assert (lambda_runtime.prefix / lambda_runtime.executable).is_file()
    assert (lambda_runtime.client / "awslambdaric").is_dir()


def test_client_is_installed_once(lambda_runtime):
    installed = lambda_runtime.client.stat().st_ino
    again = Runtime.prepare(Path(sys.executable), cache=lambda_runtime.client.parent)
    assert again == lambda_runtime
    assert again.client.stat().st_ino == installed


@pytest.mark.skipif(not Path("/usr/bin/python3.11").exists(), reason="the system has no Python 3.11")
def test_interpreter_of_the_system_has_none_of_its_packages(lambda_runtime, tmp_path):
    runtime = Runtime.prepare(Path("/usr/bin/python3.11"), cache=tmp_path)
    with LambdaEnvironment(
        Function(runtime=runtime, code=SAMPLES, handler="ordinary.describe", timeout=30)
    ) as function:
        seen = function.invoke().payload
    assert seen["executable"] == "/var/lang/bin/python3.11"
    masked = [f"/var/lang/{folder}" for folder in runtime.masked if (runtime.prefix / folder).is_dir()]
    assert [seen["packages"].get(folder) for folder in masked] == [[] for _ in masked]


@pytest.mark.parametrize("target", ["/usr/no-such-place", "/var/task/no-such-place"])
def test_mount_where_none_can_be_is_an_error_that_leaves_nothing_behind(lambda_runtime, tmp_path, monkeypatch, target):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    function = Function(
        runtime=lambda_runtime, code=SAMPLES, handler="ordinary.echo", mounts={target: Bind(SAMPLES, target)}
    )
    with pytest.raises(SandboxUnavailableError, match="Read-only file system"):
        LambdaEnvironment(function)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there_cannot_be_mounted(lambda_runtime, tmp_path):
    mounts = {"/mnt/efs": tmp_path / "missing"}
    with pytest.raises(FileNotFoundError):
        LambdaEnvironment(Function(runtime=lambda_runtime, code=SAMPLES, handler="ordinary.echo", mounts=mounts))
