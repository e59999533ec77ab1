"""The transport: verified host keys, programs whose output is bounded."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import paramiko
import pytest

import efsprov.builders
from efsprov.builders.failures import ConnectionFailure, is_lost
from efsprov.builders.ssh.connection import SshConnection
from efsprov.builders.ssh.destination import SshTarget
from efsprov.core.errors import UsageError
from tests.builders.sshd import LocalSshd, generate_key


def test_arguments_and_input_arrive_as_they_are(target):
    words = ["a b", "$HOME", "'", '"', "*", "\n", "-n", "", "ü"]
    with SshConnection(target) as connection:
        done = connection.execute(["printf", "%s\\0", *words])
        assert done.stdout.split("\0")[:-1] == words
        data = os.urandom(3 << 20)
        counted = connection.execute(["sha256sum"], data)
    assert counted.stdout.split()[0] == hashlib.sha256(data).hexdigest()


def test_exit_code_and_stderr_are_reported(target):
    with SshConnection(target) as connection:
        done = connection.execute(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.code, done.stdout, done.stderr) == (7, "out\n", "err")


def test_a_program_that_does_not_read_ends_all_the_same(target):
    with SshConnection(target) as connection:
        assert connection.execute(["true"], b"x" * (8 << 20)).code == 0


def test_endless_output_is_cut_to_a_bound(target):
    with SshConnection(target) as connection:
        done = connection.execute(
            ["sh", "-c", "head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; printf end >&2"]
        )
    assert len(done.stdout) == 1 << 20
    assert len(done.stderr) <= 32 << 10
    assert done.stderr.endswith("end")


def changed(target, **settings):
    return SshTarget(**{**target.__dict__, **settings})


def test_an_unknown_host_key_stops_before_a_byte_is_sent(target, sshd, tmp_path):
    before = sshd.log
    with pytest.raises(ConnectionFailure) as caught:
        SshConnection(changed(target, host_key="", known_hosts=(tmp_path / "empty",)))
    assert caught.value.kind == "key"
    assert "Nothing was sent" in caught.value.message
    assert "SHA256:" in caught.value.message
    assert "Accepted" not in sshd.log[len(before) :]
    assert "ssh-keygen -lf" in caught.value.hint


def test_a_changed_host_key_stops_before_a_byte_is_sent(target, sshd, tmp_path):
    other = generate_key(tmp_path / "other")
    before = sshd.log
    for settings in ({"host_key": other}, {"host_key": "", "known_hosts": (sshd.known_hosts(key=other),)}):
        with pytest.raises(ConnectionFailure) as caught:
            SshConnection(changed(target, **settings))
        assert caught.value.kind == "key"
        assert "not the expected one" in caught.value.message
    assert "Accepted" not in sshd.log[len(before) :]


def test_known_hosts_lets_in_hashed_or_not(target, sshd):
    file = sshd.known_hosts()
    SshConnection(changed(target, host_key="", known_hosts=(file,))).close()
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    assert "127.0.0.1" not in file.read_text()
    SshConnection(changed(target, host_key="", known_hosts=(file,))).close()


def test_a_revoked_key_is_not_taken(target, sshd):
    file = sshd.known_hosts()
    file.write_text(file.read_text() + f"@revoked * {sshd.host_key}\n")
    with pytest.raises(ConnectionFailure) as caught:
        SshConnection(changed(target, host_key="", known_hosts=(file,)))
    assert caught.value.kind == "key"


def test_a_pinned_key_that_is_none_is_reported(target):
    for text in ("nonsense", "ssh-ed25519 !!!", "ssh-ed25519"):
        with pytest.raises(UsageError):
            SshConnection(changed(target, host_key=text))


def test_a_host_that_does_not_let_us_in_is_reported_at_once(target, tmp_path):
    generate_key(tmp_path / "stranger")
    text = (tmp_path / "stranger").read_text()
    with pytest.raises(ConnectionFailure) as caught:
        SshConnection(changed(target, identity=None, private_key=text))
    assert caught.value.kind == "refused"


def test_a_closed_port_and_a_server_that_hangs_up_count_as_lost(target):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up():
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ConnectionFailure) as caught:
            SshConnection(changed(target, port=port))
        thread.join()
        assert is_lost(caught.value)
    with pytest.raises(ConnectionFailure) as caught:
        SshConnection(changed(target, port=port))
    assert is_lost(caught.value)
    assert "refused" in caught.value.message


def test_a_cut_connection_is_lost_and_not_an_end(target, sshd):
    with (
        SshConnection(target) as connection,
        closing(connection.start(["sh", "-c", "echo first; sleep 60"])) as program,
    ):
        assert program.read(10) == b"first\n"
        sshd.cut()
        with pytest.raises(ConnectionFailure) as caught:
            list(iter(lambda: program.read(10), b""))
    assert is_lost(caught.value)


def test_a_private_key_is_not_shown(target):
    assert "SECRET" not in repr(changed(target, private_key="SECRET"))


def test_a_proxy_command_leads_to_the_host(target, sshd):
    relay = f"{sys.executable} {(Path(__file__).parents[1] / 'relay.py')} 127.0.0.1 {sshd.port}"
    proxied = changed(target, host="nowhere.invalid", port=22, proxy_command=relay)
    with SshConnection(proxied) as connection:
        assert connection.execute(["echo", "there"]).stdout == "there\n"


def test_what_a_proxy_command_says_before_it_fails_is_shown(target, tmp_path):
    command = tmp_path / "proxy"
    command.write_text(
        "#!/bin/sh\nyes padding | head -c 200000 >&2\necho >&2\necho AccessDenied: you may not >&2\nexit 254\n"
    )
    command.chmod(0o755)
    with pytest.raises(ConnectionFailure, match="ended with code 254") as caught:
        SshConnection(changed(target, proxy_command=str(command)))
    assert caught.value.kind == "proxy"
    assert "AccessDenied: you may not" in caught.value.message
    assert len(caught.value.message) < 2500
    assert is_lost(caught.value), "it may work when tried again"


def test_a_proxy_command_that_is_no_command_is_reported(target):
    with pytest.raises(ConnectionFailure, match="cannot be started") as caught:
        SshConnection(changed(target, proxy_command="proxy 'not closed"))
    assert caught.value.kind == "refused"


@pytest.fixture
def jump(tmp_path, sshd, monkeypatch):
    """~/.ssh/config with an alias that goes through another host; the known_hosts of each hop are the test's to write."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    with LocalSshd(tmp_path / "jump") as hop:
        (home / ".ssh" / "config").write_text(
            f"""
Host hop
  HostName 127.0.0.1
  Port {hop.port}
  User {hop.user}
  IdentityFile {hop.client_key}
Host inner
  HostName localhost
  Port {sshd.port}
  User {sshd.user}
  IdentityFile {sshd.client_key}
  ProxyJump hop
Host *
  UserKnownHostsFile {home}/known
  StrictHostKeyChecking no
"""
        )
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield hop


def test_each_hop_is_verified(jump, sshd, tmp_path):
    known, target = tmp_path / "home" / "known", SshTarget("inner")
    hop_line, inner_line = f"[127.0.0.1]:{jump.port} {jump.host_key}\n", f"[localhost]:{sshd.port} {sshd.host_key}\n"
    before = sshd.log
    known.write_text(inner_line)
    with pytest.raises(ConnectionFailure, match="is not known here") as caught:
        SshConnection(target)
    assert caught.value.kind == "key"
    assert "Accepted" not in jump.log, "the hop was not trusted"
    known.write_text(hop_line)
    with pytest.raises(ConnectionFailure, match="is not known here"):
        SshConnection(target)
    assert "Accepted" not in sshd.log[len(before) :], "the host behind it was not trusted"
    known.write_text(hop_line + inner_line)
    with SshConnection(target) as connection:
        assert connection.execute(["echo", "there"]).stdout == "there\n"


def test_no_connection_takes_keys_that_are_not_known(jump, sshd, tmp_path):
    """fabric's own default, for every hop, is to take any; nothing of efsprov names that policy."""
    (tmp_path / "home" / "known").write_text(
        f"[127.0.0.1]:{jump.port} {jump.host_key}\n[localhost]:{sshd.port} {sshd.host_key}\n"
    )
    with SshConnection(SshTarget("inner")) as connection:
        policies = []
        hop = connection._connection
        while hop is not None:
            policies.append(type(hop.client._policy).__name__)
            hop = hop.gateway
    assert policies == ["_Refuse", "_Refuse"]
    for file in Path(efsprov.builders.__file__).parents[1].rglob("*.py"):
        assert "AutoAdd" + "Policy" not in file.read_text()


def test_a_program_whose_connection_has_just_gone_is_closed_without_a_word(target):
    with SshConnection(target) as connection:
        program = connection.start(["sleep", "60"])
        connection._transport.packetizer.close()  # gone, and paramiko's thread has not noticed yet
        program.close()


@pytest.mark.parametrize(
    ("host", "user"),
    [
        ("x;touch${IFS}RAN", None),
        ("x|touch${IFS}RAN", None),
        ("$(touch${IFS}RAN)", None),
        ("`touch${IFS}RAN`", None),
        ("x&touch${IFS}RAN", None),
        ("x\ntouch RAN", None),
        ("x>RAN", None),
        ("x", "u;touch${IFS}RAN;"),
        ("x", "u\ntouch RAN\n"),
        ("-oProxyCommand=touch${IFS}RAN", None),
    ],
)
@pytest.mark.parametrize("line", ['ProxyCommand sh -c "echo %h %n %r >&2; exec false"', 'Match exec "echo %h %n %r"'])
def test_no_command_of_ssh_config_sees_a_shells_signs(host, user, line, tmp_path, monkeypatch):
    """As in CVE-2023-51385."""
    home, ran = tmp_path / "home", tmp_path / "ran"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text(f"{'' if line.startswith('Match') else 'Host *'}\n{line}\n  Port 9\n")
    monkeypatch.setenv("HOME", str(home))
    target = SshTarget(host.replace("RAN", str(ran)), user=user and user.replace("RAN", str(ran)))
    with pytest.raises(UsageError, match=r"is not a (host|user's name)"):
        SshConnection(target)
    assert not ran.exists()
    if line.startswith("Proxy"):
        command = paramiko.SSHConfig.from_path(str(home / ".ssh" / "config")).lookup(target.host)["proxycommand"]
        assert f"echo {target.host}" in command, "paramiko escapes it: the test would notice nothing"
