import os
from pathlib import Path

import pytest

from efsprov.core.errors import UsageError
from efsprov.pipeline.resolve.requirement_files import read_requirements


def test_requirements_of_command_line_and_files_are_joined(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("numpy<2\n-r sub/b.txt\n")
    (tmp_path / "sub" / "b.txt").write_text("\ufeffPillow\n-r ../a.txt\nsix\n", "utf-8")
    found = read_requirements(["tensorflow==2.15", "six"], [tmp_path / "a.txt"])
    assert found.texts == ("tensorflow==2.15", "six", "numpy<2", "Pillow")
    assert found.names == ("tensorflow", "six", "numpy", "pillow")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "not a text in UTF-16"),
        (b"\xff", "not a text in UTF-8"),
        (b"# coding: nonsense\nsix\n", "not a text in NONSENSE"),
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


def test_a_pipe_is_read_once(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"six==1.16.0\n")
    os.close(writing)
    assert read_requirements([], [Path(f"/dev/fd/{reading}")]).texts == ("six==1.16.0",)
    os.close(reading)


@pytest.mark.parametrize(
    "content",
    [
        "six\nΩ # \n".encode("utf-16"),
        b"# -*- coding: latin-1 -*-\nsix # caf\xe9\n",
        "\ufeffsix\n".encode(),
        "six\n".encode("utf-32"),
    ],
)
def test_files_are_decoded_as_they_say(tmp_path, content):
    file = tmp_path / "requirements.txt"
    file.write_bytes(content.replace("Ω ".encode("utf-16-le"), b""))
    assert read_requirements([], [file]).texts == ("six",)


def test_constraints_limit_and_add_nothing(tmp_path):
    (tmp_path / "c.txt").write_text("idna<4\n-r more.txt\n")
    (tmp_path / "more.txt").write_text("six<2\n")
    (tmp_path / "a.txt").write_text("-cc.txt\nsix\n")
    found = read_requirements([], [tmp_path / "a.txt"])
    assert (found.texts, found.constraints) == (("six",), ("idna<4", "six<2"))


def test_find_links_are_beside_the_file_or_here(tmp_path, monkeypatch):
    (tmp_path / "sub" / "wheels").mkdir(parents=True)
    (tmp_path / "sub" / "a.txt").write_text("-f wheels\n-f others\n-f https://host/x\nsix\n")
    monkeypatch.chdir(tmp_path)
    found = read_requirements([], [Path("sub/a.txt")])
    assert found.options.find_links == (str(tmp_path / "sub" / "wheels"), str(tmp_path / "others"), "https://host/x")


def test_a_wheel_that_is_not_there_is_named_with_its_line(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("six\nidna @ file:///nowhere/idna-1.0-py3-none-any.whl\n")
    with pytest.raises(UsageError, match=r"a\.txt, line 2: /nowhere/idna-1.0-py3-none-any.whl is not a file"):
        read_requirements([], [file])


def test_logins_of_direct_urls_are_kept_for_the_download_and_not_shown():
    found = read_requirements(["six @ https://me:s3cr3tPW@host:8/six-1.0-py3-none-any.whl"], [])
    assert found.logins == ("https://me:s3cr3tPW@host:8",)
    assert found.shown == ("six @ https://***@host:8/six-1.0-py3-none-any.whl",)
    assert "s3cr3tPW" not in repr(found.shown)


@pytest.mark.parametrize(
    "line", ["-r a\0b.txt", "-c a\0b.txt", "-r file:///a%00b.txt", "--find-links a\0b", "-r " + "x/" * 3000]
)
def test_a_name_that_no_file_can_have_is_refused(tmp_path, line):
    file = tmp_path / "r.txt"
    file.write_text(f"six\n{line}\n")
    if "find-links" in line:
        assert read_requirements([], [file]).names == ("six",)  # the installer says that it is not there
        return
    with pytest.raises(UsageError) as caught:
        read_requirements([], [file])
    assert caught.value.hint
