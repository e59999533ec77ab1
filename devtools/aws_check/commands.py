"""efsprov's own commands, as they are typed, each as a caller that has the policy printed for it and no other."""

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.aws_check.account import Account, CheckError
from devtools.aws_check.roles import credentials
from devtools.aws_check.storage import MODEL
from efsprov.core.tags import EXPIRES, RUN, write_time
from efsprov.emit.shim import DISTRIBUTION

CHANNEL, SMALL = "check", "check-small"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Options:
    """What is built: ``framework`` on EC2, where it is then imported from, ``small`` in the Lambda builder."""

    framework: str = "tensorflow"
    small: str = "numpy"
    module: str = "tensorflow"  # what a handler imports of the framework
    runtime: str = "python3.12"
    arch: str = "x86_64"
    settings: Path | None = None  # an efsprov.toml of the user's: an index, a proxy
    patience: float = 2700.0  # seconds for Lambda to give back network interfaces


def efsprov(check: Account, purpose: str, *arguments: str, minutes: float = 60, codes: tuple[int, ...] = (0,)) -> Any:
    """Run a command and return its JSON; raises ``CheckError`` with what it said.

    Whatever ends this process ends the command first, which removes what it has made itself.
    """
    kept = {
        name: value for name, value in check.environment.items() if not name.startswith(("AWS_PROFILE", "AWS_SESS"))
    }
    environment = kept | credentials(check, purpose) | {"AWS_REGION": check.region, "PYTHONPATH": str(_ROOT)}
    traced = [sys.executable, "-m", "devtools.aws_check.traced", str(check.folder / "calls.jsonl")]
    with subprocess.Popen(
        [*traced, *arguments, "--json"],
        cwd=check.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the check, which ends the command in its own way
    ) as process:
        try:
            out, err = process.communicate(timeout=minutes * 60)
        except BaseException:
            _end(process)
            raise
    with (check.folder / "commands.log").open("a", encoding="utf-8") as log:
        log.write(f"$ efsprov {' '.join(arguments)}\n{err}\n")
    if process.returncode not in codes:
        raise CheckError(f"efsprov {arguments[0]} ended with {process.returncode}: {_told(out) or err[-2000:]}")
    return json.loads(out)


def _end(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(300)  # for the EC2 builder to end its instance
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _told(out: str) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        error = json.loads(out)["error"]
        return f"{error['message']} {error.get('hint', '')}".strip()
    return ""


def write_settings(check: Account, options: Options) -> None:
    """The folder in which the commands run, with the user's efsprov.toml and the check's tag for instances."""
    text = options.settings.read_text("utf-8") if options.settings else ""
    (check.folder / "efsprov.toml").write_text(f'{text}\n[ec2.tags]\nefsprov-check = "{check.run}"\n', "utf-8")


def sync_on_ec2(check: Account, options: Options) -> Mapping[str, Any]:
    """`sync --builder ec2`: the framework."""
    made = check.made
    disk = ("--file-system", made.file_system, "--access-point", made.access_point)
    where = ("--instance-profile", check.name("ec2-builder"), "--root", "/mnt/efs", "--region", check.region)
    what = ("--framework", options.framework, "--channel", CHANNEL, "--import", options.module)
    target = ("--runtime", options.runtime, "--arch", options.arch)
    result = efsprov(check, "ec2", "sync", "--builder", "ec2", *disk, *where, *what, *target, minutes=130)["result"]
    return {"release": result["release"], "figures": result["figures"]}


def deploy_builder(check: Account, options: Options) -> Mapping[str, Any]:
    """`builder deploy`: with 3,008 MB, which a new account has."""
    made = check.made
    told = efsprov(
        check,
        "lambda",
        *("builder", "deploy", "--function", check.name("builder"), "--memory", "3008", "--tmp", "2048"),
        *("--role", check.arn("iam", f"role/{check.name('lambda-builder')}", region="")),
        *("--access-point", check.arn("elasticfilesystem", f"access-point/{made.access_point}")),
        *("--subnet", made.private, "--security-group", made.workers),
        *("--runtime", options.runtime, "--arch", options.arch),
    )
    return {"action": told["deployment"]["action"]}


def sync_in_lambda(check: Account, options: Options) -> Mapping[str, Any]:
    """`sync --builder lambda`: something small."""
    what = ("--framework", options.small, "--channel", SMALL, "--root", "/mnt/efs")
    target = ("--runtime", options.runtime, "--arch", options.arch)
    builder = ("--builder", "lambda", "--builder-function", check.name("builder"))
    result = efsprov(check, "lambda", "sync", *builder, *what, *target)["result"]
    return {"release": result["release"], "figures": result["figures"]}


def publish_layer(check: Account, options: Options) -> Mapping[str, Any]:
    """`layer bootstrap --publish`: the shim's layer, under its own name, since its policy is for that name."""
    del options
    check.made.layers_before = layer_versions(check)
    told = efsprov(check, "layer", "layer", "bootstrap", "--publish", "--region", check.region)
    return {"published": told["layer"]["published"]}


def layer_versions(check: Account) -> frozenset[int]:
    """The versions of the shim's layer."""
    pages = check.client("lambda").get_paginator("list_layer_versions").paginate(LayerName=DISTRIBUTION)
    return frozenset(each["Version"] for page in pages for each in page["LayerVersions"])


def attach(check: Account, options: Options) -> Mapping[str, Any]:
    """`attach`, by what the builder function says of the channel."""
    del options
    made = check.made
    told = efsprov(
        check,
        "attach",
        *("attach", "--function", check.name("user"), "--channel", CHANNEL, "--region", check.region),
        *("--access-point", check.arn("elasticfilesystem", f"access-point/{made.access_point}")),
        *("--subnet", made.private, "--security-group", made.workers, "--builder-function", check.name("builder")),
    )
    return {"settings": [each["what"] for each in told["plan"]["settings"]]}


def doctor(check: Account, options: Options) -> Mapping[str, Any]:
    """`doctor`: no error, and nothing that it could not read."""
    del options
    look = ("doctor", "--function", check.name("user"), "--builder-function", check.name("builder"))
    findings = efsprov(check, "doctor", *look, "--region", check.region, codes=(0, 1))["findings"]
    bad = [f"{f['check']}: {f['message']}" for f in findings if f["level"] in {"error", "unknown"}]
    if bad:
        raise CheckError(f"efsprov doctor: {'; '.join(bad)}")
    return {"findings": {f["check"]: f["level"] for f in findings}}


def detach(check: Account, options: Options) -> Mapping[str, Any]:
    """`detach`."""
    del options
    told = efsprov(check, "attach", "detach", "--function", check.name("user"), "--region", check.region)
    return {"settings": [each["what"] for each in told["plan"]["settings"]]}


def push_model(check: Account, options: Options) -> Mapping[str, Any]:
    """`model push` from S3, to a root on this machine."""
    del options
    root = check.folder / "root"
    root.mkdir(exist_ok=True)
    source = f"s3://{check.bucket}/{MODEL}"
    told = efsprov(check, "models", "model", "push", "weights", source, "--root", str(root), "--region", check.region)
    shutil.rmtree(root)
    return {"outcome": told.get("outcome", told.get("result", {}).get("outcome"))}


def reap(check: Account, options: Options) -> Mapping[str, Any]:
    """`reap` removes a leftover that the check makes: a security group with efsprov's tags, for this run alone."""
    del options
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    tags = [{"Key": RUN, "Value": check.name()}, {"Key": EXPIRES, "Value": write_time(past)}, *check.tags()]
    check.client("ec2").create_security_group(
        GroupName=f"efsprov-{check.name()}",
        Description="efsprov check on AWS: a leftover",
        VpcId=check.made.vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )
    done = efsprov(check, "ec2", "reap", "--run", check.name(), "--yes", "--now", "--region", check.region)["done"]
    if [one["action"] for one in done] != ["remove"]:
        raise CheckError(f"efsprov reap did not remove the leftover: {done}")
    return {"removed": len(done)}


def remove_builder(check: Account, options: Options) -> Mapping[str, Any]:
    """`builder remove`."""
    del options
    efsprov(check, "lambda", "builder", "remove", "--function", check.name("builder"), "--yes")
    return {}
