"""`efsprov sync --builder ec2` and `efsprov reap` as they are typed."""

import json
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from efsprov.builders.ec2.run_record import Process, RunRecord
from tests.builders.commands import VERSION, efsprov, imported, start_efsprov

CANARY = "canary-9d41c7"


def flags(cloud):
    return [
        *("--builder", "ec2", "--root", "/mnt/efs", "--runtime", f"python{VERSION}"),
        *(
            "--file-system",
            cloud.file_system,
            "--access-point",
            cloud.access_point,
            "--instance-profile",
            "efsprov-builder",
        ),
    ]


def settings_file(cloud, folder: Path, **more: str) -> None:
    """What has no flag: the pretended instances log in as whoever runs the tests, at a port of their own."""
    lines = {"user": cloud.settings["user"], "ssh_port": cloud.settings["ssh_port"], "address": "192.0.2.7", **more}
    (folder / "efsprov.toml").write_text(
        "[ec2]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
    )


def test_a_release_is_built_on_an_instance_and_imported_and_no_secret_is_anywhere(cloud, wheels, tmp_path):
    settings_file(cloud, tmp_path)
    secrets = {"CANARY": CANARY, "UV_INDEX_PRIVATE_PASSWORD": CANARY, "AWS_SESSION_TOKEN": CANARY}
    process = start_efsprov(
        tmp_path, wheels, "sync", "-f", "tiny==1.0", "--json", *flags(cloud), **cloud.aws.environment, **secrets
    )
    seen = set()
    while process.poll() is None:
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        seen |= {line for line in shown.splitlines() if CANARY in line}
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    result = json.loads(out)
    assert result["result"]["outcome"] == "published"
    root = cloud.instances.file_system
    release = root / Path(result["result"]["path"]).relative_to("/mnt/efs")
    assert json.loads((release / "release.json").read_text())["builder"]["kind"] == "ec2"
    assert imported(root, tmp_path).startswith("1.0 ")
    assert cloud.left() == []
    # the secrets: not in an argument, a request, the user-data, a log, the manifest or anything else on a disk
    assert seen == set()
    assert CANARY not in out + err
    for sent in cloud.aws.sent:
        assert CANARY not in str({k: v for k, v in sent.parameters.items() if k != "X-Amz-Security-Token"})
    instance = cloud.instances.made[0]
    assert CANARY not in instance.console()
    assert CANARY not in json.loads((instance.folder / "configuration.json").read_text())["user_data"]
    assert [p for p in tmp_path.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()] == []


def test_an_interrupt_leaves_the_root_as_it_was(cloud, wheels, tmp_path):
    settings_file(cloud, tmp_path)
    process = start_efsprov(tmp_path, wheels, "sync", "-f", "tiny==1.0", *flags(cloud), **cloud.aws.environment)
    while not cloud.aws.named("ec2:DescribeInstances"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert cloud.left() == []
    assert list(cloud.instances.file_system.iterdir()) == []


def test_plan_looks_and_launches_nothing(cloud, wheels, tmp_path):
    settings_file(cloud, tmp_path)
    done = efsprov(tmp_path, wheels, "plan", "-f", "tiny==1.0", "--json", *flags(cloud), **cloud.aws.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any("m7i.xlarge in eu-central-1a" in note for note in json.loads(done.stdout)["notes"])
    changing = {"RunInstances", "ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "CreateTags"}
    request = [
        s for s in cloud.aws.sent if s.action.partition(":")[2] in changing and s.parameters.get("DryRun") != "true"
    ]
    assert request == []


def test_a_root_that_is_not_on_the_mount_is_refused(cloud, wheels, tmp_path):
    arguments = [a if a != "/mnt/efs" else str(tmp_path) for a in flags(cloud)]
    done = efsprov(tmp_path, wheels, "sync", "-f", "tiny==1.0", "--json", *arguments, **cloud.aws.environment)
    assert done.returncode == 2
    assert "/mnt/efs" in json.loads(done.stdout)["error"]["message"]
    assert cloud.aws.sent == []


def test_an_ingress_for_the_world_is_refused(cloud, wheels, tmp_path):
    for block in ("0.0.0.0/0", "10.0.0.0/8", "::/0"):
        settings_file(cloud, tmp_path, address=block)
        done = efsprov(tmp_path, wheels, "sync", "-f", "tiny==1.0", "--json", *flags(cloud), **cloud.aws.environment)
        assert done.returncode == 2, done.stdout
        assert "one address" in json.loads(done.stdout)["error"]["message"]
    assert cloud.aws.sent == []


def test_missing_and_impossible_settings_are_reported_before_anything_is_resolved(wheels, tmp_path):
    def result(*arguments):
        done = efsprov(
            tmp_path, wheels, "sync", "-f", "nowhere-to-be-found", "--json", "--root", "/mnt/efs", *arguments
        )
        assert done.returncode == 2, done.stdout
        assert "Resolving" not in done.stderr
        return json.loads(done.stdout)["error"]["message"]

    assert "--file-system and --instance-profile" in result("--builder", "ec2")
    assert "--instance-profile" in result("--builder", "ec2", "--file-system", "fs-12345678")
    assert "'fs-?' will not do as file_system" in result("--builder", "ec2", "--file-system", "fs-?")
    assert "No host is named" in result("--builder", "ssh")
    assert "No builder function is named" in result("--builder", "lambda")


def test_reap_marks_then_removes(cloud, ask, wheels, tmp_path):
    """A leftover of another machine: nothing is known of it here but its tags."""
    ec2 = cloud.aws.client("ec2")
    tags = [
        {"Key": "efsprov:run", "Value": "run-elsewhere"},
        {"Key": "efsprov:expires", "Value": "2026-01-01T00:00:00Z"},
    ]
    group = ec2.create_security_group(
        GroupName="efsprov-run-elsewhere",
        Description="x",
        VpcId=cloud.vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )["GroupId"]

    def reap(*arguments):
        done = efsprov(tmp_path, wheels, "reap", "--json", *arguments, **cloud.aws.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    result = reap()
    assert [(one["id"], one["action"]) for one in result["plan"]] == [(group, "mark")]
    assert result["done"] == []
    assert cloud.left() == [group]
    assert [one["action"] for one in reap("--yes")["done"]] == ["mark"]
    assert [one["action"] for one in reap("--yes")["plan"]] == ["leave"], "not before the grace time is over"
    assert cloud.left() == [group]
    assert [one["action"] for one in reap("--yes", "--now")["done"]] == ["remove"]
    assert cloud.left() == []
    assert reap("--yes")["plan"] == []


def test_reap_leaves_what_is_not_efsprovs(cloud, wheels, tmp_path):
    ec2 = cloud.aws.client("ec2")
    ec2.create_security_group(GroupName="efsprov-looks-like-it", Description="x", VpcId=cloud.vpc)
    ec2.import_key_pair(
        KeyName="efsprov-mine",
        PublicKeyMaterial=b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG5LaSMZhF/hwZZGKd7Fewzvc/7NN11IMiu5W3XajNkk",
    )
    groups, keys = (len(ec2.describe_security_groups()["SecurityGroups"]), len(ec2.describe_key_pairs()["KeyPairs"]))
    done = efsprov(tmp_path, wheels, "reap", "--yes", "--now", **cloud.aws.environment)
    assert done.returncode == 0
    assert "Nothing that carries efsprov's tags" in done.stdout
    assert (len(ec2.describe_security_groups()["SecurityGroups"]), len(ec2.describe_key_pairs()["KeyPairs"])) == (
        groups,
        keys,
    )


def test_reap_looks_where_runs_were_when_no_region_is_set(cloud, wheels, tmp_path):
    environment = {name: text for name, text in cloud.aws.environment.items() if "REGION" not in name}
    environment["AWS_CONFIG_FILE"] = "/nonexistent"
    done = efsprov(tmp_path, wheels, "reap", "--json", **environment)
    assert done.returncode == 2
    assert "No AWS region is set" in json.loads(done.stdout)["error"]["message"]
    now = datetime.now(UTC)
    record = RunRecord(
        run="run-before",
        region=cloud.aws.environment["AWS_REGION"],
        account="123456789012",
        process=Process.own().model_copy(update={"pid": 1}),
        created=now - timedelta(days=1),
        expires=now,
    )
    folder = tmp_path / "own-state" / "efsprov" / "ec2"
    folder.mkdir(parents=True)
    (folder / "run-before.json").write_text(record.model_dump_json())
    done = efsprov(tmp_path, wheels, "reap", "--json", **environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_reap_asks_and_without_a_terminal_does_nothing(cloud, wheels, tmp_path):
    ec2 = cloud.aws.client("ec2")
    tags = [
        {"Key": "efsprov:run", "Value": "run-elsewhere"},
        {"Key": "efsprov:expires", "Value": "2026-01-01T00:00:00Z"},
    ]
    ec2.create_security_group(
        GroupName="x",
        Description="x",
        VpcId=cloud.vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )
    done = efsprov(tmp_path, wheels, "reap", "--now", **cloud.aws.environment)
    assert "remove" in done.stdout
    assert "Nothing was changed" in done.stderr
    assert len(cloud.left()) == 1
