"""What an import touched is remembered for the very same files and import, and for nothing else."""

from dataclasses import replace

import pytest

from efsprov.pipeline.imports.smoke import smoke
from efsprov.pipeline.imports.touched_pages import TouchedPages
from efsprov.pipeline.tools.interpreter import own_interpreter

PYTHON = own_interpreter()
HASHES = {"package/__init__.py": "0" * 64, "package/lib.so": "1" * 64}
PAGES = {"package/lib.so": ((0, 4096), (65536, 8192))}


@pytest.fixture
def known(tmp_path):
    def ask(hashes=HASHES, python=PYTHON, imports=("package",)):
        return TouchedPages(tmp_path / "touched", hashes, python, imports)

    return ask


def test_is_recalled(known):
    assert known().recall() is None
    known().remember(PAGES)
    assert known().recall() == PAGES
    assert known(hashes=dict(reversed(HASHES.items()))).recall() == PAGES


def test_other_files_another_import_another_interpreter_are_another_question(known):
    known().remember(PAGES)
    assert known(hashes={**HASHES, "package/lib.so": "2" * 64}).recall() is None
    assert known(hashes={**HASHES, "package/more.py": "2" * 64}).recall() is None
    assert known(imports=("package", "package.lib")).recall() is None
    assert known(python=replace(PYTHON, full="3.11.99")).recall() is None


def test_nothing_found_out_is_nothing_to_remember(known):
    known().remember({})
    assert known().recall() is None


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"lib.so": 1}', '{"lib.so": [[1]]}'])
def test_what_was_torn_is_found_out_again(known, tmp_path, torn):
    known().remember(PAGES)
    (file,) = (tmp_path / "touched").iterdir()
    file.write_text(torn)
    assert known().recall() is None


def test_the_import_is_made_all_the_same(tmp_path):
    (tmp_path / "package.py").write_text("import package_part")
    (tmp_path / "package_part.py").write_text("")
    result = smoke(tmp_path, PYTHON.path, ("package",), touched=PAGES)
    assert result.modules == ("package", "package_part")
    assert result.libraries == PAGES
