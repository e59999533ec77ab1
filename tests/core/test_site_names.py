import pytest

from efsprov.core.site_names import judge_site_names


@pytest.mark.parametrize(
    ("path", "python"),
    [
        ("json.py", "3.11"),
        ("json/__init__.py", "3.11"),
        ("typing.py", "3.13"),
        ("_socket.cpython-311-x86_64-linux-gnu.so", "3.11"),
        ("sitecustomize.py", "3.11"),
        ("sitecustomize/__init__.py", "3.11"),
        ("usercustomize.py", "3.12"),
        ("distutils/__init__.py", "3.11"),
        ("imp.py", "3.9"),
        ("cgi.py", "3.12"),
        ("tomllib/__init__.py", "3.12"),
    ],
)
def test_what_takes_over_the_interpreter_is_refused(path, python):
    assert path in judge_site_names([path], python).refused[0]


@pytest.mark.parametrize(
    ("path", "python"),
    [
        ("tensorflow/__init__.py", "3.11"),
        ("tensorflow/json.py", "3.11"),
        ("cgi.py", "3.13"),  # gone from the standard library: a package may bring it back
        ("distutils/__init__.py", "3.12"),
        ("asyncore/__init__.py", "3.13"),
        ("tomllib/__init__.py", "3.9"),
        ("json/data.txt", "3.11"),  # a folder without code shadows nothing
        ("json.txt", "3.11"),
        ("bin/json.py", "3.11"),
        ("distutils-precedence.pth", "3.11"),
        ("protobuf-3.0-nspkg.pth", "3.11"),
    ],
)
def test_honest_names_pass(path, python):
    names = judge_site_names([path], python)
    assert (names.refused, names.remarks) == ((), ())


def test_other_pth_files_are_remarked_on():
    names = judge_site_names(["evil.pth", "folder/inner.pth"], "3.11")
    assert names.refused == ()
    assert len(names.remarks) == 1
    assert "evil.pth" in names.remarks[0]
