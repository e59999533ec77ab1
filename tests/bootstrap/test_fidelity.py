"""With and without the accelerator, a release is the same to the programs that run on it."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

A = "20261121T063000Z-3f2a9c1b"
PROGRAM = Path(__file__).with_name("fidelity_program.py")
UV = Path(sys.executable).with_name("uv")

SOME = ("numpy", "protobuf", "googleapis-common-protos", "google-auth", "h5py", "pillow", "grpcio", "pyyaml")
SOME_TOPS = ("numpy", "google.protobuf", "google.type", "google.auth", "google", "h5py", "PIL", "grpc", "yaml")
ALL = (*SOME, "scipy", "pandas", "scikit-learn", "google-cloud-storage", "opencv-python-headless", "tensorflow==2.15.0")
ALL_TOPS = (
    *SOME_TOPS,
    "scipy",
    "pandas",
    "sklearn",
    "google.cloud.storage",
    "google.cloud",
    "cv2",
    "tensorflow",
    "keras",
)


@pytest.fixture(scope="session")
def installed(tmp_path_factory, worker_id):
    """installed(requirements, imports): an indexed release of real packages, made once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def make(name, requirements, imports):
        root = base / f"fidelity-{name}"
        root.mkdir(exist_ok=True)
        with (root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (root / "done").exists():
                target = "python{}.{}-{}".format(*sys.version_info[:2], os.uname().machine.replace("aarch64", "arm64"))
                release = root / "deps" / name / target / "releases" / A
                site = release / "site"
                command = [UV, "pip", "install", "-q", "--python", sys.executable, "--target", site, *requirements]
                subprocess.run(command, check=True, capture_output=True, text=True)
                python = Path(sys.executable)
                compile_tree(site, python)
                write_index(release, site, python, smoke(site, python, imports))
                (release.parents[1] / "current").symlink_to(f"releases/{A}")
                (root / "done").touch()
        return root

    return make


@pytest.fixture(scope="session")
def some(installed):
    return installed(
        "some", SOME, ("numpy", "google.protobuf.message", "h5py", "PIL.Image", "grpc", "google.auth", "yaml")
    )


def run(root, argv, *, accelerated, **environ):
    """A program on the release; its error output must say that the index was used, by saying nothing."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("EFSPROV_", "PYTHON"))}
    env |= {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "EFSPROV_ROOT": str(root),
        "EFSPROV_CHANNEL": root.name.removeprefix("fidelity-"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    env |= {} if accelerated else {"EFSPROV_ACCEL": "0"}
    done = subprocess.run(
        [sys.executable, *map(str, argv)], env=env | environ, capture_output=True, text=True, check=False, timeout=1200
    )
    result = [line for line in done.stderr.splitlines() if line.startswith("efsprov: ")]
    assert result == [] if accelerated else "EFSPROV_ACCEL=0" in result[0]
    return done


def both_ways(root, tmp_path, tops):
    reports = {}
    for accelerated in (True, False):
        path = tmp_path / f"{accelerated}.json"
        done = run(root, [PROGRAM, path, *tops], accelerated=accelerated)
        assert done.returncode == 0, done.stderr[-3000:]
        reports[accelerated] = json.loads(path.read_text())
    return reports[True], reports[False]


def differences(accelerated, plain, where=""):
    """Paths at which two documents differ, with what is there."""
    if isinstance(plain, dict) and isinstance(accelerated, dict):
        keys = [*plain, *(key for key in accelerated if key not in plain)]
        return [d for key in keys for d in differences(accelerated.get(key), plain.get(key), f"{where}/{key}")]
    return [] if accelerated == plain else [f"{where}: {accelerated!r:.300} instead of {plain!r:.300}"]


def test_programs_see_the_same_in_real_packages(some, tmp_path):
    accelerated, plain = both_ways(some, tmp_path, SOME_TOPS)
    assert differences(accelerated, plain)[:20] == []
    assert all(isinstance(name, str) for name in plain["imports"].values()), plain["imports"]
    assert len(plain["all modules"]) > 500
    assert len(plain["specs"]) > 800
    assert len(plain["loaders"]) > 400
    assert len(plain["distributions"]) > len(SOME)
    assert plain["modules"]["google"]["path"][0] == "_NamespacePath"


@pytest.mark.slow
def test_programs_see_the_same_in_all_kinds_of_packages(installed, tmp_path):
    root = installed(
        "all", ALL, ("numpy", "scipy.stats", "pandas", "sklearn.linear_model", "google.cloud.storage", "tensorflow")
    )
    accelerated, plain = both_ways(root, tmp_path, ALL_TOPS)
    assert differences(accelerated, plain)[:20] == []
    assert all(isinstance(name, str) for name in plain["imports"].values()), plain["imports"]
    assert len(plain["all modules"]) > 5000


def own_tests(root, folder, *, accelerated):
    """{test: outcome} of numpy's own test suite, run on the release."""
    folder.mkdir()
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        "not slow",
        "--continue-on-collection-errors",  # what tests f2py needs meson and a Fortran compiler
        "--junitxml",
        str(folder / "report.xml"),
    ]
    code = f"import os, efsprov.bootstrap, pytest; os.chdir({str(folder)!r}); pytest.main([*{options}, '--pyargs', 'numpy'])"
    run(root, ["-c", code], accelerated=accelerated)
    cases = ET.parse(folder / "report.xml").iter("testcase")
    return {f"{c.get('classname')}::{c.get('name')}": sorted(child.tag for child in c) for c in cases}


@pytest.mark.slow
def test_numpys_own_tests_give_the_same_result(some, tmp_path):
    accelerated = own_tests(some, tmp_path / "accelerated", accelerated=True)
    plain = own_tests(some, tmp_path / "plain", accelerated=False)
    assert differences(accelerated, plain)[:20] == []
    assert len(plain) > 20_000
