"""Sources are built by their own code, which sees nothing of this machine but its system."""

import io
import json
import socket
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from efsprov.core.errors import BuildError
from efsprov.core.lock import LockedFile, LockedPackage
from efsprov.core.target import host_target
from efsprov.pipeline.stage.sdists import BuildSystem, build_wheels, read_build_system
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.interpreter import own_interpreter
from tests.pipeline.forge import build_wheel

SETTINGS = InstallerSettings({"UV_INDEX": "https://me:canary@index.test/simple", "UV_OFFLINE": "1"})
# A backend whose wheel holds what it found out, as `found.json`.
BACKEND = """
import base64, hashlib, json, os, zipfile
{before}
def get_requires_for_build_wheel(config_settings=None):
    return {more!r}
def build_wheel(folder, config_settings=None, metadata_directory=None):
    found = {{}}
    {during}
    files = {{"some/found.json": json.dumps(found).encode(), "some/__init__.py": b"",
        "some-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: some\\nVersion: 1.0\\n",
        "some-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}}
    with zipfile.ZipFile(os.path.join(folder, "some-1.0-py3-none-any.whl"), "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return "some-1.0-py3-none-any.whl"
"""


@pytest.fixture
def build(tmp_path):
    """build(...) makes a source and builds it; returns what its backend found out."""

    def run(*, requires=(), before="", during="pass", more=(), settings=SETTINGS, zipped=False):
        project = f'[build-system]\nrequires = {list(requires)!r}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        backend = BACKEND.format(before=before, during=during, more=list(more))
        sdist = write_sdist(tmp_path, {"pyproject.toml": project, "backend.py": backend}, zipped=zipped)
        own = own_interpreter()
        _, files = build_wheels(
            [LockedPackage("some", "1.0", (), LockedFile(sdist.name, sdist.as_uri(), "0" * 64))],
            {"some": sdist},
            target=host_target(python=own.version, arch=own.arch, glibc=own.glibc),
            python=Path(sys.executable),
            settings=settings,
            scratch=tmp_path / "scratch",
        )
        with zipfile.ZipFile(files["some"]) as wheel:
            return json.loads(wheel.read("some/found.json"))

    return run


def write_sdist(folder, files, *, zipped=False):
    """Write a source archive of {path: text}."""
    path = folder / ("some-1.0.zip" if zipped else "some-1.0.tar.gz")
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(f"some-1.0/{name}", text)
        return path
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"some-1.0/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_it_is_built_by_its_backend(build, zipped):
    assert build(during="found['here'] = os.path.basename(os.getcwd())", zipped=zipped) == {"here": "some-1.0"}


def test_the_build_sees_no_login_and_no_file_of_this_machine(build, tmp_path):
    (tmp_path / "secret").write_text("canary")
    seen = f"""
    found['environment'] = dict(os.environ)
    found['secret'] = os.path.exists({str(tmp_path / "secret")!r})
    found['processes'] = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            found['processes'].append(open(f"/proc/{{process}}/environ").read())
        except PermissionError:
            pass
"""
    found = build(during=seen)
    assert not found["secret"]
    assert "canary" not in json.dumps(found)
    assert not [name for name in found["environment"] if name.startswith("UV_")]


def test_the_build_has_no_network(build):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        tried = f"""
    import socket
    try:
        socket.create_connection(("127.0.0.1", {port}), 5)
        found['network'] = True
    except OSError:
        found['network'] = False
"""
        assert build(during=tried) == {"network": False}


def test_what_a_build_needs_is_there(build, tmp_path):
    (tmp_path / "links").mkdir()
    for name in ("first", "second"):
        build_wheel(tmp_path / "links", name, "1.0", {f"{name}.py": f"X = '{name}'\n"})
    settings = InstallerSettings({"UV_FIND_LINKS": str(tmp_path / "links"), "UV_NO_INDEX": "1"})
    found = build(
        requires=["first==1.0"],
        before="import first",
        more=["second"],
        during="import second; found.update(x=first.X, y=second.X)",
        settings=settings,
    )
    assert found == {"x": "first", "y": "second"}


def test_what_a_build_needs_and_is_not_there_is_named(build):
    with pytest.raises(BuildError, match=r"needs could not be installed:(.|\n)*nowhere"):
        build(requires=["nowhere==1.0"])


@pytest.mark.parametrize(
    "during", ["raise SystemExit('no compiler')", "import signal; os.kill(os.getpid(), signal.SIGSEGV)"]
)
def test_a_build_that_dies_is_an_error(build, during):
    with pytest.raises(BuildError, match=r"some-1.0.tar.gz could not be built"):
        build(during=during)


def test_a_build_that_leaves_no_wheel_is_an_error(build):
    with pytest.raises(BuildError, match="left 0 of them"):
        build(during="return 'some-1.0-py3-none-any.whl'")


PLAIN = ("setuptools>=40.8.0",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, BuildSystem(PLAIN, "setuptools.build_meta:__legacy__", ())),
        ("", BuildSystem(PLAIN, "setuptools.build_meta:__legacy__", ())),
        ("[build-system]\nrequires = ['a', 'b>1']\nbuild-backend = 'a.b:c'\n", BuildSystem(("a", "b>1"), "a.b:c", ())),
    ],
)
def test_the_build_system_is_what_the_source_says(tmp_path, text, expected):
    sdist = write_sdist(tmp_path, {"x": ""} if text is None else {"pyproject.toml": text})
    assert read_build_system(sdist, sdist.name) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("= no toml", "could not be built"),
        ("build-system = 1", "could not be built"),
        ("[build-system]\nrequires = 'a'", "lists"),
        ("[build-system]\nrequires = [1]", "plain text"),
        ("[build-system]\nrequires = ['--index-url=x']", "begins with"),
        ("[build-system]\nrequires = []\nbackend-path = ['../x']", "leads out"),
        ("[build-system]\nrequires = []\nbackend-path = ['/x']", "leads out"),
    ],
)
def test_a_build_system_that_cannot_be_is_refused(tmp_path, text, why):
    sdist = write_sdist(tmp_path, {"pyproject.toml": text})
    with pytest.raises(BuildError, match=why):
        read_build_system(sdist, sdist.name)


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "some-1.0.tar.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(BuildError, match="could not be built"):
        read_build_system(path, path.name)
