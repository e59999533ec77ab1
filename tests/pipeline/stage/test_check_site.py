import hashlib
import os

import pytest

from efsprov.core.errors import BuildError
from efsprov.core.target import lambda_target
from efsprov.pipeline.stage.check_site import check_site
from efsprov.pipeline.stage.hashing import hash_files
from efsprov.pipeline.stage.inspect_wheel import inspect
from efsprov.pipeline.stage.install import WheelFile, install
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from tests.pipeline.forge import elf, locked, with_record
from tests.wheelhouse import build_wheel

TARGET = lambda_target("python3.11", "x86_64")


class Installed:
    """Wheels that uv has installed into a site."""

    def __init__(self, folder, *wheels):
        self.site = folder / "site"
        self.packages = [locked(wheel) for wheel in wheels]
        self.wheels = [inspect(path, package) for path, package in zip(wheels, self.packages, strict=True)]
        (folder / "scratch").mkdir(exist_ok=True)
        install(
            [WheelFile(p.name, path, p.file.sha256) for path, p in zip(wheels, self.packages, strict=True)],
            self.site,
            target=TARGET,
            python=os.path.realpath("/proc/self/exe"),
            settings=InstallerSettings({"HOME": str(folder), "PATH": os.environ["PATH"]}),
            cache=folder / "uv",
            scratch=folder / "scratch",
        )

    def check(self):
        return check_site(self.site, self.wheels, TARGET)

    def refused(self, says):
        with pytest.raises(BuildError, match=says):
            self.check()


@pytest.fixture
def tiny(tmp_path):
    files = {
        "tiny/__init__.py": "x = 1\n",
        "tiny/native.so": elf(),
        "tiny-1.0.data/scripts/tiny-run": "#!python\nprint(1)\n",
        "tiny-1.0.data/headers/tiny.h": "int x;\n",
        "tiny-1.0.data/data/share/tiny.cfg": "[x]\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n",
    }
    return Installed(tmp_path, build_wheel(tmp_path, "tiny", "1.0", files))


def test_an_honest_site(tiny):
    checked = tiny.check()
    on_disk = {str(p.relative_to(tiny.site)) for p in tiny.site.rglob("*") if p.is_file()}
    assert set(checked.hashes) == on_disk
    assert {"bin/tiny", "bin/tiny-run", "share/tiny.cfg", "tiny/native.so"} <= on_disk
    assert list(checked.libraries) == ["tiny/native.so"]
    assert checked.remarks == ()
    assert checked.sizes["tiny"] == sum(
        (tiny.site / path).stat().st_size for path in on_disk & set(tiny.wheels[0].files)
    )


def test_a_changed_file(tiny):
    (tiny.site / "tiny" / "__init__.py").unlink()
    (tiny.site / "tiny" / "__init__.py").write_text("x = 2\n")
    tiny.refused(r"tiny/__init__\.py is not what the RECORD of tiny-1\.0-py3-none-any\.whl says")


def test_a_missing_file(tiny):
    (tiny.site / "share" / "tiny.cfg").unlink()
    tiny.refused(r"share/tiny\.cfg of tiny-1\.0-py3-none-any\.whl was not installed")


@pytest.mark.parametrize("path", ["tiny/more.py", "more.py", "include/more.h", "bin/more", "tiny-1.0.dist-info/more"])
def test_a_file_that_nobody_listed(tiny, path):
    (tiny.site / path).parent.mkdir(exist_ok=True)
    (tiny.site / path).write_text("")
    tiny.refused(f"{path} was installed, but no wheel's RECORD lists it")


@pytest.mark.parametrize("to", ["/etc/passwd", "../../outside", "__init__.py"])
def test_a_link(tiny, to):
    (tiny.site / "tiny" / "link.py").symlink_to(to)
    tiny.refused("neither a file nor a folder")


def test_a_wheel_whose_record_lies(tmp_path):
    def lie(lines):
        return [f"tiny/__init__.py,sha256={'A' * 43},1" if line.startswith("tiny/__init__") else line for line in lines]

    Installed(tmp_path, with_record(tmp_path, lie)).refused("its hash differs")


@pytest.mark.parametrize("path", ["json.py", "sitecustomize.py", "logging/__init__.py"])
def test_names_that_take_over_the_interpreter(tmp_path, path):
    Installed(tmp_path, build_wheel(tmp_path, "tiny", "1.0", {path: ""})).refused("is refused")


def test_a_pth_file_is_remarked_on(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny.py": "", "tiny.pth": "import os\n"})
    assert "tiny.pth" in Installed(tmp_path, wheel).check().remarks[0]


def both(folder, path, one, other):
    a = build_wheel(folder, "aa", "1.0", {"aa.py": "", path: one})
    b = build_wheel(folder, "bb", "1.0", {"bb.py": "", path: other})
    return Installed(folder, a, b)


@pytest.mark.parametrize("path", ["shared/__init__.py", "shared.py", "tests.py", "shared/data.bin", "shared/LICENSE"])
def test_two_wheels_that_disagree_about_a_file(tmp_path, path):
    both(tmp_path, path, "one", "other").refused(f"both install {path}, with different content")


@pytest.mark.parametrize("path", ["README.md", "LICENSE", "tests/__init__.py", "docs/conf.py"])
def test_two_wheels_that_disagree_about_what_matters_to_nobody(tmp_path, path):
    assert f"both install {path}" in both(tmp_path, path, "one", "other").check().remarks[0]


def test_two_wheels_that_agree_about_a_file(tmp_path):
    installed = both(tmp_path, "google/__init__.py", "same", "same")
    assert installed.check().remarks == ()


def test_files_are_hashed_whatever_their_size(tmp_path):
    sizes = {"empty": 0, "small": 10, "edge": 64 << 10, "large": (64 << 10) + 1, "larger": 3_000_000}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(os.urandom(size))
    hashed = hash_files(tmp_path, sizes, {"small": "sha512", "large": "sha384"})
    for name, size in sizes.items():
        content = (tmp_path / name).read_bytes()
        assert hashed[name].sha256 == hashlib.sha256(content).hexdigest()
        assert hashed[name].size == size
        algorithm = {"small": "sha512", "large": "sha384"}.get(name, "sha256")
        assert hashed[name].digest == hashlib.new(algorithm, content).hexdigest()
