"""A release imports by its index what it imports from its files, or is not published."""

import shutil
import sys
from pathlib import Path

import pytest

from efsprov.core.errors import SmokeError
from efsprov.pipeline.imports.both_ways import import_by_index
from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

PYTHON = Path(sys.executable)
MODULES = {"pack/__init__.py": "from pack import first\n", "pack/first.py": "X = 1\n", "pack/other.py": "X = 2\n"}


@pytest.fixture
def tree(tmp_path):
    """tree(modules) makes an indexed tree, and what its plain import gave."""

    def make(modules, name="tree"):
        site = tmp_path / name / "site"
        for path, text in modules.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        compile_tree(site, PYTHON)
        plain = smoke(site, PYTHON, ("pack",))
        write_index(tmp_path / name, site, PYTHON, plain)
        return tmp_path / name, plain

    return make


@pytest.mark.parametrize("kind", ["namespaces", "process"])
def test_the_same_modules_are_right(tree, kind):
    made, plain = tree(MODULES)
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    import_by_index(made, PYTHON, plain, kind=kind)
    assert before == {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}


def test_other_modules_are_an_error_that_names_them(tree):
    other, _ = tree({**MODULES, "pack/__init__.py": "from pack import other\n"}, "other")
    made, plain = tree(MODULES)
    for name in ("import.index", "import.packs"):
        target = made / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        copy = shutil.copytree if (other / name).is_dir() else shutil.copy
        copy(other / name, target)
    with pytest.raises(
        SmokeError, match=r"loads other modules by the release's index than from the files: pack.first, pack.other"
    ):
        import_by_index(made, PYTHON, plain)


def test_a_failure_by_the_index_alone_is_an_error(tree):
    found = (
        "import sys\nif any(type(f).__name__ == 'Accelerator' for f in sys.meta_path): raise OSError('by the index')\n"
    )
    made, plain = tree({"pack/__init__.py": found})
    with pytest.raises(
        SmokeError, match=r"works from the files, and fails by the release's index:(.|\n)*OSError: by the index"
    ) as caught:
        import_by_index(made, PYTHON, plain)
    assert "report it" in caught.value.hint


def test_a_package_that_never_loads_the_same_is_no_error(tree):
    chance = "import os, importlib\nimportlib.import_module('pack.m' + str(os.urandom(1)[0] % 64))\n"
    made, plain = tree({"pack/__init__.py": chance, **{f"pack/m{n}.py": "" for n in range(64)}})
    import_by_index(made, PYTHON, plain)


HACK = "import sys\ndef add_shim(): sys.modules['distutils'] = __import__('setuptools')\n"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Lambda's own site-packages start setuptools up to 3.11")
def test_what_the_runtime_loads_before_the_import_is_no_difference(tree):
    made, plain = tree(
        {"pack/__init__.py": "import distutils\n", "_distutils_hack/__init__.py": HACK, "setuptools/__init__.py": ""}
    )
    assert "_distutils_hack" not in plain.modules
    import_by_index(made, PYTHON, plain)
