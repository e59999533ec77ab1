"""A user's function that imports the framework from the file system, and what its cold starts take."""

import base64
import io
import json
import re
import statistics
import zipfile
from collections.abc import Mapping
from typing import Any

from devtools.aws_check.account import TAG, Account, CheckError
from devtools.aws_check.commands import Options

ROUNDS = 3
_HANDLER = """import os
import time

began = time.perf_counter()
import efsprov.bootstrap
import {module}

SECONDS = time.perf_counter() - began


def handler(event, context):
    releases = {{name: release.id for name, release in efsprov.bootstrap.releases.items()}}
    return {{"seconds": SECONDS, "releases": releases, "accelerated": os.environ.get("EFSPROV_ACCEL") != "0"}}
"""
_INIT = re.compile(r"Init Duration: ([\d.]+) ms")


def make_function(check: Account, options: Options) -> Mapping[str, Any]:
    """The user's function: a handler of its own, in no VPC, with a variable of its own."""
    awslambda = check.client("lambda")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        member = zipfile.ZipInfo("app.py", (2026, 1, 1, 0, 0, 0))
        member.external_attr = 0o644 << 16  # what Lambda cannot read it cannot import
        file.writestr(member, _HANDLER.format(module=options.module))

    def create() -> Any:
        return awslambda.create_function(
            FunctionName=check.name("user"),
            Runtime=options.runtime,
            Architectures=[options.arch],
            Role=check.arn("iam", f"role/{check.name('function')}", region=""),
            Handler="app.handler",
            Code={"ZipFile": archive.getvalue()},
            MemorySize=3008,
            Timeout=120,
            Environment={"Variables": {"MINE": "1"}},
            Tags={TAG: check.run},
        )

    # "The role defined for the function cannot be assumed by Lambda", until IAM has spread the role
    check.until("the function", create, seconds=120)
    _wait(check)
    return {}


def invoke(check: Account, options: Options) -> Mapping[str, Any]:
    """Invoke it: it imports the release that is current, and its own variable is still there."""
    del options
    told, _ = _call(check)
    if _variables(check).get("MINE") != "1":
        raise CheckError("The function's own variable is gone.")
    return {"releases": told["releases"]}


def measure_cold_starts(check: Account, options: Options) -> Mapping[str, Any]:
    """Import times in new environments, plainly and accelerated by turns: seconds, and Lambda's own "Init Duration"."""
    del options
    ways: dict[str, list[dict[str, Any]]] = {"plain": [], "accelerated": []}
    before = _variables(check)
    for number in range(ROUNDS):
        for way, rounds in ways.items():
            # another configuration means other environments: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
            accel = {"EFSPROV_ACCEL": "0"} if way == "plain" else {}
            _configure(check, {**before, **accel, "EFSPROV_CHECK_ROUND": f"{number}-{way}"})
            told, log = _call(check)
            if told["accelerated"] != (way == "accelerated"):
                raise CheckError(f"The {way} round answered {told}: it is another environment's.")
            init = _INIT.search(log)
            rounds.append({"import_seconds": told["seconds"], "init_ms": float(init[1]) if init else None})
    _configure(check, before)
    medians = {way: statistics.median(r["import_seconds"] for r in rounds) for way, rounds in ways.items()}
    return {"rounds": ways, "median_import_seconds": medians}


def _variables(check: Account) -> dict[str, str]:
    told = check.client("lambda").get_function_configuration(FunctionName=check.name("user"))
    return dict(told["Environment"]["Variables"])


def _configure(check: Account, variables: Mapping[str, str]) -> None:
    check.client("lambda").update_function_configuration(
        FunctionName=check.name("user"), Environment={"Variables": dict(variables)}
    )
    _wait(check)


def _wait(check: Account) -> None:
    def is_ready() -> bool:
        told = check.client("lambda").get_function_configuration(FunctionName=check.name("user"))
        return bool(told["State"] == "Active" and told.get("LastUpdateStatus", "Successful") == "Successful")

    check.until("the function's last change", is_ready, seconds=300)


def _call(check: Account) -> tuple[dict[str, Any], str]:
    """What the function answers, and the end of its log."""
    answer = check.client("lambda").invoke(FunctionName=check.name("user"), LogType="Tail")
    body, log = answer["Payload"].read(), base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
    if "FunctionError" in answer:
        raise CheckError(f"The function failed: {body.decode('utf-8', 'replace')[:500]} {log[-1500:]}")
    told: dict[str, Any] = json.loads(body)
    return told, log
