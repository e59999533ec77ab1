import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

from efsprov.emit.shim import layer_archive, shim_files, wheel_archive, wheel_name

RELEASE = "20261121T063000Z-3f2a9c1b"
PROBE = "import efsprov.bootstrap as b, tiny, sys; print(b.__file__, tiny.VALUE, 'pydantic' in sys.modules)"


@pytest.fixture
def root(tmp_path):
    """A root whose channel ``tiny`` holds one module, for any target of this interpreter."""
    series = tmp_path / "root" / "deps" / "tiny" / "python{}.{}-any".format(*sys.version_info[:2])
    site = series / "releases" / RELEASE / "site"
    site.mkdir(parents=True)
    (site / "tiny.py").write_text("VALUE = 7\n")
    (series / "current").symlink_to(f"releases/{RELEASE}")
    return series


def environment(root, **more):
    return {
        "PATH": os.environ["PATH"],
        "EFSPROV_ROOT": str(root.parents[2]),
        "EFSPROV_CHANNEL": "tiny",
        "EFSPROV_TARGET": root.name,
        **more,
    }


def run(python, variables, code=PROBE):
    done = subprocess.run(
        [python, "-B", "-c", code], env=variables, capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def bare_interpreter():
    return str(Path(sys._base_executable))


def test_layer_is_small_and_the_same_each_time():
    archive = layer_archive()
    assert hashlib.sha256(archive).digest() == hashlib.sha256(layer_archive()).digest()
    assert 20_000 < len(archive) < 100_000
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert names == sorted(f"python/{path}" for path in shim_files())
    assert "python/efsprov/bootstrap/__init__.py" in names
    assert "python/efsprov/__init__.py" not in names


def test_layer_is_the_same_in_another_process_and_folder(tmp_path):
    code = "import hashlib; from efsprov.emit.shim import layer_archive; print(hashlib.sha256(layer_archive()).hexdigest())"
    for seed in ("1", "2"):
        variables = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": seed}
        assert run(sys.executable, variables, code) == [hashlib.sha256(layer_archive()).hexdigest()]


def test_shim_imports_from_the_layer_without_the_rest_of_efsprov(tmp_path, root):
    zipfile.ZipFile(io.BytesIO(layer_archive())).extractall(tmp_path / "opt")
    found = run(bare_interpreter(), environment(root, PYTHONPATH=str(tmp_path / "opt" / "python")))
    assert found == [str(tmp_path / "opt/python/efsprov/bootstrap/__init__.py"), "7", "False"]


def test_layer_and_an_installed_efsprov_are_one_package(tmp_path, root):
    zipfile.ZipFile(io.BytesIO(layer_archive())).extractall(tmp_path / "opt")
    code = "import efsprov.bootstrap as b, efsprov.core.errors as e; print(b.__file__, e.__file__)"
    shim, rest = run(sys.executable, environment(root, PYTHONPATH=str(tmp_path / "opt" / "python")), code)
    assert shim.startswith(str(tmp_path / "opt"))
    assert not rest.startswith(str(tmp_path / "opt"))


def test_wheel_installs_and_imports(tmp_path, root):
    wheel = tmp_path / wheel_name("1.2.3")
    wheel.write_bytes(wheel_archive("1.2.3"))
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-cache", "--python", bare_interpreter()]
    subprocess.run([*install, "--target", tmp_path / "site", wheel], check=True, stdin=subprocess.DEVNULL)
    variables = environment(root, PYTHONPATH=str(tmp_path / "site"))
    assert run(bare_interpreter(), variables)[1:] == ["7", "False"]
    code = "from importlib.metadata import version; print(version('efsprov-bootstrap'))"
    assert run(bare_interpreter(), variables, code) == ["1.2.3"]


def test_record_of_the_wheel_is_true(tmp_path):
    with zipfile.ZipFile(io.BytesIO(wheel_archive("1.2.3"))) as archive:
        record = archive.read("efsprov_bootstrap-1.2.3.dist-info/RECORD").decode().splitlines()
        listed = {line.split(",")[0]: line.split(",") for line in record}
        assert sorted(listed) == archive.namelist()
        for path in shim_files():
            assert int(listed[path][2]) == len(archive.read(path))
