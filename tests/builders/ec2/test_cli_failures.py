"""A way in through the AWS CLI that does not work: what lasts ends the launch at once, what passes is waited for."""

import time

import pytest

from efsprov.builders.ec2.cli_failures import hint_after_waiting, lasting_failure
from efsprov.builders.ec2.launch import Timeouts
from efsprov.core.errors import BuilderError

LASTING = {
    "AccessDenied": "An error occurred (AccessDeniedException) when calling the StartSession operation: no statement allows",
    "expired": "An error occurred (ExpiredTokenException) when calling the StartSession operation: expired",
    "old CLI": "aws: error: argument operation: Invalid choice, valid choices are:",
    "no plugin": "SessionManagerPlugin is not found. Please refer to SessionManager Documentation here",
    "no profile": "The config profile (nobody) could not be found",
    "no credentials": "Unable to locate credentials. You can configure credentials by running 'aws configure'.",
}
NOT_CONNECTED = "An error occurred (TargetNotConnected) when calling the StartSession operation: i-1 is not connected."


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """An AWS CLI, and a session-manager-plugin, on PATH that say this and fail; returns how often it was called."""

    def make(said):
        for name in ("aws", "session-manager-plugin"):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\necho called >>{tmp_path}/calls\ncat >&2 <<'END'\n{said}\nEND\nexit 254\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return lambda: len((tmp_path / "calls").read_text().splitlines())

    return make


@pytest.mark.parametrize("said", LASTING.values(), ids=LASTING.keys())
def test_what_lasts_ends_the_launch_at_once_with_what_the_cli_said(cloud, ask, heard, cli, said):
    calls = cli(said)
    began = time.monotonic()
    with pytest.raises(BuilderError) as caught:
        cloud.builder(connect="ssm", timeouts=Timeouts(boot=300, inspect=0.3)).run(ask(), heard)
    assert said in caught.value.message
    assert caught.value.hint == lasting_failure(said)
    assert calls() == 1
    assert time.monotonic() - began < 200, "it did not wait for the whole of the boot"
    assert cloud.left() == []


def test_an_instance_that_is_not_registered_yet_is_waited_for_and_then_explained(cloud, ask, heard, cli):
    calls = cli(NOT_CONNECTED)
    with pytest.raises(BuilderError, match="TargetNotConnected") as caught:
        cloud.builder(connect="ssm", timeouts=Timeouts(boot=4, inspect=0.3)).run(ask(), heard)
    assert calls() > 1
    assert caught.value.hint == hint_after_waiting(NOT_CONNECTED)
    assert "AmazonSSMManagedInstanceCore" in caught.value.hint
    assert cloud.left() == []
