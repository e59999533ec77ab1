"""`efsprov sync --builder ssh` as it is typed: a release is built on the host, published there, and imported."""

import json
import os
from pathlib import Path

import pytest

from tests.builders.commands import VERSION, efsprov, imported


@pytest.mark.parametrize("by", ["flags", "settings file"])
def test_a_release_is_built_over_ssh_and_imported(sshd, wheels, tmp_path, by):
    root = tmp_path / "efs"
    root.mkdir()
    where = f"{sshd.user}@127.0.0.1:{sshd.port}"
    if by == "flags":
        flags = ["--builder", "ssh", "--host", where, "--host-key", sshd.host_key, "--identity", sshd.client_key]
    else:
        flags, identity = [], os.path.relpath(sshd.client_key, tmp_path)  # paths are relative to the settings file
        (tmp_path / "efsprov.toml").write_text(
            f'builder = "ssh"\n[ssh]\nhost = "{where}"\nhost_key = "{sshd.host_key}"\nidentity = "{identity}"\n'
        )
    below = tmp_path / "below" / "it"
    below.mkdir(parents=True)
    done = efsprov(
        below, wheels, "sync", "--root", root, "-f", "tiny==1.0", "--runtime", f"python{VERSION}", "--json", *flags
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)["result"]
    assert result["outcome"] == "published"
    manifest = json.loads((Path(result["path"]) / "release.json").read_text())
    assert manifest["builder"]["kind"] == "ssh"
    assert imported(root, tmp_path).startswith("1.0 " + str(root))
    again = efsprov(
        below, wheels, "sync", "--root", root, "-f", "tiny==1.0", "--runtime", f"python{VERSION}", "--json", *flags
    )
    assert json.loads(again.stdout)["result"]["outcome"] == "unchanged"


def test_an_unknown_host_is_reported_as_an_error(sshd, wheels, tmp_path):
    flags = ["--builder", "ssh", "--host", f"{sshd.user}@127.0.0.1:{sshd.port}", "--identity", sshd.client_key]
    done = efsprov(
        tmp_path, wheels, "sync", "--root", tmp_path, "-f", "tiny", "--runtime", f"python{VERSION}", "--json", *flags
    )
    assert done.returncode == 13
    result = json.loads(done.stdout)["error"]
    assert result["code"] == "builder"
    assert "Nothing was sent" in result["message"]
    assert list((sshd.state).glob("**/log")) == []
