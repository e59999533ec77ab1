"""What may become part of a command line: everything else is refused."""

import shlex
import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.command_words import check_host, check_region, check_remote_path, check_user
from efsprov.core.errors import UsageError


def check_path(text: str) -> str:
    return check_remote_path(text, what="a thing")


CHECKS = [check_host, check_user, check_path, check_region]
# What no word may have: signs of a shell, of ssh_config's and systemd's expansions, of cloud-init's templates.
SIGNS = [*"\"'`$\\;&|<>(){}[]*?!#~^ \t\n\r\0\x1b\x7f", "ü", "\u2028", "\ud800"]


@pytest.mark.parametrize(
    "host",
    [
        "build",
        "build.example.com",
        "ec2_alias",
        "i-0123456789abcdef0",
        "10.0.0.1",
        "::1",
        "2001:db8::1",
        "fe80::1%eth0",
    ],
)
def test_hosts_that_people_have(host):
    assert check_host(host) == host


@pytest.mark.parametrize("user", ["ec2-user", "root", "CORP+jane.doe", "_svc", "u1"])
def test_users_that_people_have(user):
    assert check_user(user) == user


@pytest.mark.parametrize("path", ["/mnt/efs", "/mnt/efs/team-1/a_b.c", "python3.12", "/opt/py@3.12/bin/python3.12"])
def test_paths_that_people_have(path):
    assert check_path(path) == path


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "ap-southeast-5", "eusc-de-east-1", "us-iso-east-1"])
def test_regions_that_there_are(region):
    assert check_region(region) == region


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("sign", SIGNS)
def test_no_sign_of_a_shell_passes_wherever_it_stands(check, sign):
    base = "us-east-1" if check is check_region else "a"
    for text in (f"{base}{sign}", f"{sign}{base}", f"{base}{sign}b", sign):
        with pytest.raises(UsageError):
            check(text)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", ["", "-", "-oProxyCommand=x", "--", "%h", "a%h", "a%%b", "::1%", "::1%$(id)", "a\n"])
def test_options_expansions_and_nothing_are_refused(check, text):
    with pytest.raises(UsageError) as caught:
        check(text)
    assert caught.value.hint


@given(st.sampled_from(CHECKS), st.text(alphabet=string.printable, max_size=12))
def test_what_passes_is_one_word_to_a_shell_as_it_is(check, text):
    try:
        check(text)
    except UsageError:
        return
    assert shlex.quote(text) == text or set(text) <= set(string.ascii_letters + string.digits + "._-+%:/=@,")
    done = subprocess.run(["sh", "-c", f"printf %s {text}"], capture_output=True, text=True, check=True)
    assert done.stdout == text
