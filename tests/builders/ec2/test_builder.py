"""The whole way, with a fake EC2 and a pretended instance: real user-data, real scripts, real sshd."""

import base64
import os
import re
import sys
import threading
from pathlib import Path

import pytest
import yaml

from efsprov.builders.ec2.run_record import read_records
from efsprov.core.build import BuildResult
from efsprov.core.errors import GateError


def test_a_build_runs_on_an_instance_and_nothing_is_left(cloud, ask, heard):
    result = cloud.builder().run(ask("events 3"), heard)
    assert result.path == "/mnt/efs"
    assert [e.message for e in heard if e.step == "stage"] == ["event 0", "event 1", "event 2"]
    assert [e.state for e in heard if e.step == "launch" and e.state != "progress"] == ["started", "finished"]
    assert cloud.left() == []
    assert read_records() == ()


def test_an_error_of_the_build_arrives_and_nothing_is_left(cloud, ask, heard):
    with pytest.raises(GateError, match="does not fit"):
        cloud.builder().run(ask("refuse"), heard)
    assert cloud.left() == []


def test_the_requests_are_what_they_must_be(cloud, ask, heard):
    request = ask(f"wait {cloud.instances.folder / 'looked'}")
    looked = {}

    def act(message):
        if message.endswith("is building"):
            instance = cloud.instances.made[0]
            looked["notes"] = instance.notes
            looked["deadman"] = [n for n in instance.notes if n.startswith("systemd-run")]
            (cloud.instances.folder / "looked").touch()

    heard.act = act
    cloud.builder(tags={"team": "ml"}).run(request, heard)
    dry, launched = (sent.parameters for sent in cloud.aws.named("ec2:RunInstances"))
    assert dry["DryRun"] == "true"
    assert "ClientToken" not in dry or dry["ClientToken"] != launched["ClientToken"]
    group = cloud.aws.named("ec2:AuthorizeSecurityGroupIngress")[0].parameters["GroupId"]
    tags = {key: value for key, value in launched.items() if key.startswith("TagSpecification")}
    user_data = yaml.safe_load(base64.b64decode(launched["UserData"]))
    snapshot = {k: v for k, v in launched.items() if not k.startswith("TagSpecification") and k != "UserData"}
    assert re.fullmatch(r"[0-9a-f]{32}", snapshot.pop("ClientToken"))
    assert re.fullmatch(r"ami-[0-9a-f]+", snapshot.pop("ImageId"))
    assert snapshot == {
        "Action": "RunInstances",
        "Version": "2016-11-15",
        "MinCount": "1",
        "MaxCount": "1",
        "InstanceType": "m7i.xlarge",
        "KeyName": f"efsprov-{request.run}",
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions.HttpTokens": "required",
        "MetadataOptions.HttpPutResponseHopLimit": "1",
        "MetadataOptions.HttpEndpoint": "enabled",
        "NetworkInterface.1.DeviceIndex": "0",
        "NetworkInterface.1.SubnetId": cloud.subnets[0],
        "NetworkInterface.1.SecurityGroupId.1": group,
        "NetworkInterface.1.SecurityGroupId.2": cloud.mount_group,
        "NetworkInterface.1.AssociatePublicIpAddress": "true",
        "NetworkInterface.1.DeleteOnTermination": "true",
        "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "40",
        "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
        "BlockDeviceMapping.1.Ebs.Encrypted": "true",
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
        "IamInstanceProfile.Name": "efsprov-builder",
    }
    assert tagged_kinds(tags) == {"instance", "volume", "network-interface"}
    assert user_data["ssh_deletekeys"] is True
    assert len(looked["deadman"]) == 1
    ingress = cloud.aws.named("ec2:AuthorizeSecurityGroupIngress")[0].parameters
    assert {k: v for k, v in ingress.items() if "IpPermissions" in k and "Description" not in k} == {
        "IpPermissions.1.IpProtocol": "tcp",
        "IpPermissions.1.FromPort": str(cloud.instances.port),
        "IpPermissions.1.ToPort": str(cloud.instances.port),
        "IpPermissions.1.IpRanges.1.CidrIp": "192.0.2.7/32",
    }
    for action in ("ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"):
        for sent in cloud.aws.named(f"ec2:{action}"):
            if sent.parameters.get("DryRun") != "true":
                check_tags(sent.parameters, request.run)
    assert "0.0.0.0/0" not in str(cloud.aws.sent)
    assert "::/0" not in str(cloud.aws.sent)


def tagged_kinds(parameters):
    return {value for key, value in parameters.items() if key.endswith("ResourceType")}


def check_tags(parameters, run):
    kinds = {key.split(".")[1]: {} for key in parameters if key.startswith("TagSpecification.")}
    assert kinds
    for key, value in parameters.items():
        if match := re.fullmatch(r"TagSpecification\.(\d+)\.Tag\.(\d+)\.(Key|Value)", key):
            kinds[match[1]].setdefault(match[2], {})[match[3]] = value
    for tags in kinds.values():
        named = {tag["Key"]: tag["Value"] for tag in tags.values()}
        assert named["efsprov:run"] == run
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", named["efsprov:expires"])
        assert named["team"] == "ml"
        assert named["Name"] == f"efsprov-{run}"


def test_the_instance_does_what_its_user_data_says(cloud, ask, heard):
    notes, keys = [], []

    def act(message):
        if message.endswith("is building"):
            notes.extend(cloud.instances.made[0].notes)
            keys.append(cloud.instances.made[0].path("/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[1])
            (cloud.instances.folder / "looked").touch()

    heard.act = act
    cloud.builder().run(ask(f"wait {cloud.instances.folder / 'looked'}", root="/mnt/efs/team/models"), heard)
    installed = [n for n in notes if n.startswith("dnf")]
    assert len(installed) == 1
    assert "amazon-efs-utils python3" in installed[0]
    (mounted,) = [note for note in notes if note.startswith("mount -t efs")]
    options = rf"tls,iam,accesspoint={cloud.access_point},mounttargetip=[\d.]+"
    assert re.fullmatch(rf"mount -t efs -o {options} {cloud.file_system}:/ /mnt/efs", mounted)
    assert "sysctl -q -w fs.protected_hardlinks=0" in notes
    assert (cloud.instances.file_system / "team" / "models").is_dir()
    sent_key = yaml.safe_load(base64.b64decode(cloud.aws.named("ec2:RunInstances")[1].parameters["UserData"]))[
        "ssh_keys"
    ]
    assert keys[0] != sent_key["ed25519_public"].split()[1], "the host key of the user-data was replaced"


def test_the_private_key_is_on_no_disk_and_in_no_request(cloud, ask, heard, tmp_path):
    found = []

    def act(message):
        if message.endswith("is building"):
            found.extend(p for p in tmp_path.rglob("*") if p.is_file() and b"OPENSSH PRIVATE" in p.read_bytes())
            (cloud.instances.folder / "looked").touch()

    heard.act = act
    cloud.builder().run(ask(f"wait {cloud.instances.folder / 'looked'}"), heard)
    # the one in there is the throwaway host key, in what stands for the instance's own user-data
    assert {p.name for p in found} == {"configuration.json"}
    assert "OPENSSH PRIVATE" not in str(cloud.aws.sent)


def test_spot_instances_are_asked_for_once_and_tagged(cloud, ask, heard):
    cloud.builder(spot=True).run(ask(), heard)
    launched = cloud.aws.named("ec2:RunInstances")[1].parameters
    assert launched["InstanceMarketOptions.MarketType"] == "spot"
    assert launched["InstanceMarketOptions.SpotOptions.SpotInstanceType"] == "one-time"
    assert "spot-instances-request" in tagged_kinds(launched)


@pytest.mark.parametrize("connect", ["ssm", "endpoint"])
def test_a_ingress_without_an_address(cloud, ask, heard, tmp_path, monkeypatch, connect):
    """The tunnel program of the AWS command line is stood for by a script that does what it does: join stdio and port 22."""
    tunnel(tmp_path / "bin", cloud)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    cloud.builder(connect=connect, address=None).run(ask(), heard)
    rules = cloud.aws.named("ec2:AuthorizeSecurityGroupIngress")
    if connect == "ssm":
        assert rules == []
    else:
        assert rules[0].parameters["IpPermissions.1.Groups.1.GroupId"] == cloud.aws.ec2.endpoint_group
    assert cloud.aws.named("ec2:RunInstances")[1].parameters["NetworkInterface.1.AssociatePublicIpAddress"] == "false"
    assert "CidrIp" not in str(rules)
    assert cloud.left() == []


def tunnel(folder, cloud):
    folder.mkdir()
    relay = Path(__file__).parents[1] / "relay.py"
    addresses = folder / "addresses"
    original = cloud.aws.ec2.launch_machine

    def launch(identifier, parameters):
        machine = original(identifier, parameters)
        addresses.write_text(machine.address)
        return machine

    cloud.aws.ec2.launch_machine = launch
    script = f'#!/bin/sh\nexec "{sys.executable}" "{relay}" "$(cat "{addresses}")" {cloud.instances.port}\n'
    for name in ("aws", "session-manager-plugin"):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)


def test_eight_runs_at_once_do_not_collide(cloud, ask, heard):
    results: list[BuildResult | BaseException] = []

    def run():
        try:
            results.append(cloud.builder().run(ask("events 2"), type(heard)()))
        except BaseException as error:  # noqa: BLE001 - shown below
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert [type(result) for result in results] == [BuildResult] * 8, results
    assert len(cloud.instances.made) == 8
    assert cloud.left() == []
    assert read_records() == ()
