"""No credential is shown or stored, in whichever way it gets in."""

import base64
import hashlib
from pathlib import Path

import pytest

from tests.cli.conftest import RUNTIME
from tests.pipeline.web import serve
from tests.wheelhouse import build_wheel

SECRET = "s3cr3tPW-canary"
LOGIN = "Basic " + base64.b64encode(f"deploy:{SECRET}".encode()).decode()


@pytest.fixture
def index(tmp_path):
    """A private index: its wheel needs a login, and it logs none."""
    wheel = build_wheel(tmp_path, "private", "1.0").read_bytes()
    name = "private-1.0-py3-none-any.whl"
    with serve() as web:
        web.login = LOGIN
        web.files["/simple/private/"] = (
            f'<a href="/files/{name}#sha256={hashlib.sha256(wheel).hexdigest()}">{name}</a>'.encode()
        )
        web.files[f"/files/{name}"] = wheel
        web.place = web.url.removeprefix("http://")
        yield web


def with_login(index):
    return f"http://deploy:{SECRET}@{index.place}"


def in_file(index, folder):
    (folder / "r.txt").write_text(f"--extra-index-url {with_login(index)}/simple/\nprivate==1.0\n")
    return ["-r", "r.txt"], {}


def by_variable(index, folder):
    (folder / "r.txt").write_text(f"--extra-index-url http://deploy:${{TOKEN}}@{index.place}/simple/\nprivate==1.0\n")
    return ["-r", "r.txt"], {"TOKEN": SECRET}


def direct(index, _folder):
    return ["-f", f"private @ {with_login(index)}/files/private-1.0-py3-none-any.whl"], {}


def direct_in_file(index, folder):
    (folder / "r.txt").write_text(f"{with_login(index)}/files/private-1.0-py3-none-any.whl\n")
    return ["-r", "r.txt"], {}


def pip_variable(index, _folder):
    return ["-f", "private==1.0"], {"PIP_EXTRA_INDEX_URL": f"{with_login(index)}/simple/"}


def uv_variable(index, _folder):
    return ["-f", "private==1.0"], {"UV_INDEX": f"{with_login(index)}/simple/"}


def settings_file(index, folder):
    (folder / "efsprov.toml").write_text(f'[installer]\nextra_indexes = ["{with_login(index)}/simple/"]\n')
    return ["-f", "private==1.0"], {}


def netrc(index, folder):
    (folder / ".netrc").write_text(f"machine 127.0.0.1 login deploy password {SECRET}\n")
    (folder / ".netrc").chmod(0o600)
    return ["-f", "private==1.0"], {"PIP_EXTRA_INDEX_URL": f"{index.url}/simple/", "NETRC": str(folder / ".netrc")}


def constraint(index, folder):
    (folder / "c.txt").write_text(f"private @ {with_login(index)}/files/private-1.0-py3-none-any.whl\n")
    (folder / "r.txt").write_text(f"-c c.txt\n--extra-index-url {with_login(index)}/simple/\nprivate\n")
    return ["-r", "r.txt"], {}


WAYS = [in_file, by_variable, direct, direct_in_file, pip_variable, uv_variable, settings_file, netrc]


def all_output(efsprov, given, environment):
    """Run every verb that could show where packages came from, and those that fail; return all that was printed."""
    sync = ["--root", efsprov.root, "--runtime", RUNTIME, "--channel", "main", *given]
    return [
        efsprov("plan", *sync, **environment),
        efsprov("plan", *sync, "--json", **environment),
        efsprov("plan", *sync, "-f", "nosuch-package", **environment),
        efsprov("plan", *sync, "-f", "private==9", "--json", **environment),
        efsprov("sync", *sync, **environment),
        efsprov("sync", *sync, "--json", **environment),
        efsprov("show", "--root", efsprov.root, **environment),
        efsprov("show", "--root", efsprov.root, "--json", **environment),
        efsprov("history", "--root", efsprov.root, "--json", **environment),
        efsprov("list", "--root", efsprov.root, "--json", **environment),
    ]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_credentials_work_and_appear_nowhere(efsprov, index, way):
    efsprov.environment.pop("PIP_NO_INDEX")
    given, environment = way(index, efsprov.folder)
    environment |= {"UV_DEFAULT_INDEX": f"{index.url}/nothing", "UV_HTTP_RETRIES": "0"} if way is netrc else {
        "PIP_INDEX_URL": f"{with_login(index)}/nothing", "UV_HTTP_RETRIES": "0"
    }  # fmt: skip
    answers = all_output(efsprov, given, environment)
    assert [answers[0].code, answers[1].code, answers[4].code] == [0, 0, 0], answers[4].err
    for answer in answers:
        assert SECRET not in answer.out + answer.err
    stored = [file for file in efsprov.root.rglob("*") if file.is_file() and not file.is_symlink()]
    assert any(file.name == "release.json" for file in stored)
    assert [file for file in stored if SECRET.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("password", ["s3cr3t/PW canary", "s3cr3t PW-canary", "s3cr3t%2FPW canary", "s3cr3t@PW/canary"])
@pytest.mark.parametrize("name", ["PIP_EXTRA_INDEX_URL", "UV_INDEX", "PIP_FIND_LINKS", "PIP_PROXY", "UV_INDEX_URL"])
def test_a_password_with_blanks_and_slashes_is_not_shown_by_what_fails(efsprov, name, password):
    efsprov.environment.pop("PIP_NO_INDEX")
    environment = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"} | {
        name: f"http://deploy:{password}@127.0.0.1:9/simple"
    }
    answer = efsprov("plan", "--root", efsprov.root, "--runtime", RUNTIME, "-f", "nosuch-package", **environment)
    assert answer.code not in {0, 1}
    assert "Traceback" not in answer.err
    for part in ("s3cr3t", "canary"):
        assert part not in answer.out + answer.err, answer.err


def test_the_resolver_is_not_given_credentials_on_its_command_line(efsprov, index, tmp_path):
    """Any user of a machine can read the command lines of all processes (proc(5)), and only one's own environment."""
    efsprov.environment.pop("PIP_NO_INDEX")
    process = efsprov.start("plan", "--root", efsprov.root, "--runtime", RUNTIME, "-f", "private", "-r", "/dev/stdin",
                            PIP_EXTRA_INDEX_URL=f"{with_login(index)}/simple/", PIP_INDEX_URL=f"{with_login(index)}/nothing",
                            )  # fmt: skip
    seen = []
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == process.pid:
                seen.append(line)
    process.communicate()
    assert any(b"compile" in line for line in seen)
    assert not any(SECRET.encode() in line for line in seen)
