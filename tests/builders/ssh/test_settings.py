"""`--host` and `[ssh]`: what is read, and what is refused before anything is run."""

import pytest

from efsprov.builders.ssh.settings import SshSettings
from efsprov.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "host", "user", "port"),
    [
        ("build", "build", None, None),
        ("ec2-user@build.example.com:2222", "build.example.com", "ec2-user", 2222),
        ("[2001:db8::1]:22", "2001:db8::1", None, 22),
        ("root@[fe80::1%eth0]", "fe80::1%eth0", "root", None),
        ("2001:db8::1", "2001:db8::1", None, None),
    ],
)
def test_a_host_is_read(text, host, user, port):
    target = SshSettings(host=text).target
    assert (target.host, target.user, target.port) == (host, user, port)


@pytest.mark.parametrize(
    "text", ["", "-oX", "a;b", "a b", "u$x@a", "-l@a", "[a;b]", "a:0", "a:65536", "a:x", "a@b@c", "[::1", "%h", "a\n"]
)
def test_what_is_no_host_is_refused(text):
    with pytest.raises(UsageError):
        _ = SshSettings(host=text).target


def test_an_interpreter_is_a_plain_path():
    assert SshSettings(python="/opt/python3.12/bin/python3.12").python
    with pytest.raises(UsageError, match="an interpreter on the host"):
        SshSettings(python="/bin/sh -c id")
