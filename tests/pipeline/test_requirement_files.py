from pathlib import Path

import pytest

from efsprov.core.errors import UsageError
from efsprov.pipeline.requirement_files import read_requirements


def test_requirements_of_command_line_and_files_are_joined(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("numpy<2\n-r sub/b.txt\n")
    (tmp_path / "sub" / "b.txt").write_text("\ufeffPillow\n-r ../a.txt\nsix\n", "utf-8")
    found = read_requirements(["tensorflow==2.15", "six"], [tmp_path / "a.txt"])
    assert found.texts == ("tensorflow==2.15", "six", "numpy<2", "Pillow")
    assert found.names == ("tensorflow", "six", "numpy", "pillow")
    assert found.direct == ("tensorflow==2.15", "six")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "not a text"),
        (b"# nothing\n", "holds no requirement"),
        (b"six\n\nfoo bar\n", "line 3"),
        (b"-r missing.txt\n", "missing.txt cannot be read"),
        (b"-r https://host/r.txt\n", "only files are read"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, content, says):
    file = tmp_path / "requirements.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        read_requirements([], [file])


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_requirements([], [tmp_path])


def test_nothing_at_all_is_an_error():
    with pytest.raises(UsageError, match="Nothing was asked for"):
        read_requirements([], [])


def test_a_requirement_on_the_command_line_that_is_none():
    with pytest.raises(UsageError, match="numpy=2"):
        read_requirements(["numpy=2"], [Path("never-read")])
