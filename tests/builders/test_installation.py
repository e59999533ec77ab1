"""efsprov brings itself to a host: its own wheel, an environment of its own, and a build there with the real pipeline."""

import io
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from efsprov.builders.installation import HostFacts, choose_python, install, pinned_needs, probe
from efsprov.builders.ssh.host import Host
from efsprov.builders.wheel import own_wheel
from efsprov.core.errors import BuilderError
from efsprov.core.target import Target
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from tests.builders.needs import build_needs

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TARGET = Target.parse(f"python{VERSION}-x86_64")


def test_the_own_wheel_is_the_same_each_time_and_whole():
    name, content = own_wheel()
    assert own_wheel() == (name, content)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        names = wheel.namelist()
        assert "efsprov/builders/remote/__main__.py" in names
        assert "efsprov/bootstrap/__init__.py" in names
        assert "efsprov/builders/ec2/cloud_init/prepare.sh" in names
        assert "efsprov/__init__.py" not in names
        assert not [n for n in names if n.endswith(".pyc") or "__pycache__" in n]
        assert wheel.testzip() is None
        record = next(wheel.read(n).decode() for n in names if n.endswith("/RECORD"))
    assert {line.split(",")[0] for line in record.splitlines()} == set(names)


def test_the_own_wheel_installs_with_an_installer(tmp_path):
    name, content = own_wheel()
    (tmp_path / name).write_bytes(content)
    target = tmp_path / "there"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--target",
            target,
            tmp_path / name,
        ],
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert (target / "efsprov" / "core" / "errors.py").is_file()


def test_only_what_the_pipeline_needs_is_taken_along():
    names = {pin.split("==")[0] for pin in pinned_needs("3.11", "x86_64")}
    assert {"pydantic", "pydantic-core", "packaging", "pyelftools", "urllib3", "uv"} <= names
    assert not names & {"boto3", "fabric", "paramiko", "typer", "rich", "tenacity"}


def facts(**changes):
    values = {
        "machine": "x86_64",
        "glibc": (2, 34),
        "pythons": {"3.9": "/usr/bin/python3.9", "3.11": "/usr/bin/python3.11"},
        "cache": "/c",
    }
    return HostFacts(**{**values, **changes})


@pytest.mark.parametrize(
    ("target", "pythons", "chosen"),
    [
        ("python3.11-x86_64", ("3.9", "3.11", "3.13"), "3.11"),
        ("python3.9-x86_64", ("3.9", "3.11", "3.13"), "3.13"),
        ("python3.13-x86_64", ("3.13",), "3.13"),
    ],
)
def test_the_targets_python_is_taken_or_the_newest_that_efsprov_runs_by(target, pythons, chosen):
    there = facts(pythons={v: f"/usr/bin/python{v}" for v in pythons})
    assert choose_python(there, Target.parse(target), named=None) == (chosen, f"/usr/bin/python{chosen}")


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [
        ("python3.12-x86_64", {}, "CPython 3.12 is not on the host"),
        ("python3.9-x86_64", {"pythons": {"3.9": "/usr/bin/python3.9"}}, "no Python 3.11 or newer"),
        ("python3.11-arm64", {}, "The host is x86_64"),
    ],
)
def test_a_host_that_cannot_do_it_is_reported_before_anything_is_uploaded(target, changes, message):
    with pytest.raises(BuilderError, match=message) as caught:
        choose_python(facts(**changes), Target.parse(target), named=None)
    assert caught.value.hint


def test_a_host_is_asked_what_it_is(target):
    with Host(target) as host:
        result = probe(host)
    assert result.machine == platform.machine()
    assert VERSION in result.pythons
    assert result.glibc[0] == 2


@pytest.fixture(scope="module")
def needs(tmp_path_factory) -> Path:
    return build_needs(tmp_path_factory.mktemp("needs"), VERSION, platform.machine())


def test_an_environment_is_made_once_and_is_its_own(target, sshd, needs, tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    settings = installer_settings(
        InstallerSection(find_links=(str(needs),)),
        {"UV_NO_INDEX": "1", "UV_CACHE_DIR": str(tmp_path / "uv")},
        folder=tmp_path,
    )
    with Host(target) as host:
        command = install(host, TARGET, settings)
        assert install(host, TARGET, settings) == command
        done = host.execute(
            [
                command[0],
                "-I",
                "-c",
                "import efsprov.pipeline.run, sys; print(sys.prefix, efsprov.pipeline.run.__file__)",
            ]
        )
    assert done.code == 0, done.stderr
    prefix, file = done.stdout.split()
    assert prefix.startswith(str(sshd.cache))
    assert file.startswith(prefix)
    assert len([p for p in (sshd.cache / "efsprov" / "hosts").iterdir() if p.is_dir()]) == 1
