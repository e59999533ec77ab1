"""An instance that dies, does not answer, is not what it must be, or has no room: nothing is left, and the message helps."""

import subprocess

import pytest

from efsprov.builders.ec2.launch import Timeouts
from efsprov.core.errors import BuilderError, RootError


def test_an_instance_that_dies_during_boot_is_reported_with_its_reason(cloud, ask, heard):
    cloud.instances.fates.append({"fate": "kernel panic"})
    with pytest.raises(BuilderError, match=r"Client\.InstanceInitiatedShutdown: Instance initiated shutdown") as caught:
        cloud.builder().run(ask(), heard)
    assert "Kernel panic - not syncing: made up" in caught.value.message
    assert cloud.left() == []


def test_a_lack_of_capacity_that_shows_only_later_is_reported_as_the_reason(cloud, ask, heard):
    cloud.instances.fates.append({"fate": "Server.InsufficientInstanceCapacity"})
    with pytest.raises(BuilderError, match=r"Server\.InsufficientInstanceCapacity"):
        cloud.builder().run(ask(), heard)
    assert cloud.left() == []


def test_an_ssh_server_that_never_comes_up_is_reported_with_the_console(cloud, ask, heard):
    cloud.instances.fates.append({"fate": "no sshd"})
    hasty = cloud.builder(timeouts=Timeouts(boot=3, inspect=0.3))
    with pytest.raises(BuilderError, match="refused the login by SSH after 3 s") as caught:
        hasty.run(ask(), heard)
    assert "Its console last said:\n[console] cloud-init starts" in caught.value.message
    assert "192.0.2.7/32" in caught.value.hint
    assert cloud.left() == []


def test_a_wrong_host_key_stops_before_anything_is_sent(cloud, ask, heard, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    cloud.instances.fates.append({"host_key": (tmp_path / "other").read_text()})
    with pytest.raises(BuilderError, match="Nothing was sent") as caught:
        cloud.builder().run(ask(), heard)
    assert "was given its host key when it was launched" in caught.value.message
    console = cloud.instances.made[0].console()
    assert "Connection from" in console
    assert "Accepted" not in console
    assert "Connection closed by authenticating user" not in console
    assert cloud.left() == []


def test_a_connection_cut_three_times_during_the_build(cloud, ask, heard, tmp_path):
    cuts = []

    def act(message):
        if message.startswith("cut"):
            cuts.append(cloud.instances.made[0].cut())
            (tmp_path / message).touch()

    heard.act = act
    notes = [n for i in range(3) for n in (f"say cut{i}", f"wait {tmp_path / f'cut{i}'}", "events 20")]
    result = cloud.builder().run(ask(*notes), heard)
    assert result.outcome == "published"
    assert len(cuts) == 3
    assert all(cuts)
    output = [e.message for e in heard if e.step == "stage"]
    assert output == [line for i in range(3) for line in (f"cut{i}", *(f"event {n}" for n in range(20)))]
    assert cloud.left() == []


def test_packages_that_cannot_be_installed_are_reported(cloud, ask, heard):
    cloud.instances.fates.append(
        {"dnf": "echo 'Error: Failed to download metadata for repo'; exit 1", "user_data_changes": {"wait=2": "wait=0"}}
    )
    with pytest.raises(BuilderError, match="cannot be installed") as caught:
        cloud.builder().run(ask(), heard)
    assert "Failed to download metadata" in caught.value.message
    assert cloud.left() == []


def test_a_file_system_that_cannot_be_mounted_is_reported(cloud, ask, heard):
    cloud.instances.fates.append({"file_system": "/nonexistent", "user_data_changes": {"wait=2": "wait=0"}})
    with pytest.raises(BuilderError, match="cannot be mounted"):
        cloud.builder().run(ask(), heard)
    assert cloud.left() == []


def test_a_disk_that_the_build_fills_still_has_room_for_its_last_word(cloud, ask, heard):
    small = {"XDG_STATE_HOME": "/run/small/state", "XDG_CACHE_HOME": "/run/small/cache"}
    cloud.instances.environment = small
    cloud.instances.fates.append({"small_disk": 3 << 20})
    with pytest.raises(RootError, match="No space left on device"):
        cloud.builder().run(ask("events 10", "fill /run/small/big", "events 1000"), heard)
    assert cloud.left() == []


def test_a_disk_without_room_to_start_is_reported(cloud, ask, heard):
    cloud.instances.environment = {"XDG_STATE_HOME": "/run/small/state", "XDG_CACHE_HOME": "/run/small/cache"}
    cloud.instances.fates.append({"small_disk": 256 << 10})
    with pytest.raises(BuilderError, match="No space left on device") as caught:
        cloud.builder().run(ask(), heard)
    assert "XDG_STATE_HOME" in caught.value.hint
    assert cloud.left() == []
