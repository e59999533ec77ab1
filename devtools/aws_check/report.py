"""The report: report.json with each request's id, and report.md to read. The account's number is in neither."""

import datetime as dt
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from devtools.aws_check import prices
from devtools.aws_check.account import Account
from devtools.aws_check.commands import Options
from devtools.aws_check.run import Outcome

_HIDDEN = "************"


def write_report(check: Account, options: Options, outcome: Outcome, *, began: dt.datetime) -> tuple[Path, Path]:
    """Write both files into the check's folder, and return where they are."""
    document = {
        "format": 1,
        "run": check.run,
        "region": check.region,
        "began": began.isoformat(timespec="seconds"),
        "versions": {
            "efsprov": version("efsprov"),
            "boto3": version("boto3"),
            "python": platform.python_version(),
            "runtime": options.runtime,
            "arch": options.arch,
        },
        "built": {"ec2": options.framework, "lambda": options.small},
        "passed": outcome.passed,
        "stopped": outcome.stopped,
        "left": list(outcome.left),
        "estimated_dollars": round(prices.estimate(), 2),
        "steps": [vars(step) for step in outcome.steps],
    }
    files = check.folder / "report.json", check.folder / "report.md"
    for path, text in zip(files, (json.dumps(document, indent=1) + "\n", _readable(document)), strict=True):
        path.write_text(text.replace(check.number, _HIDDEN), "utf-8")
    return files


def _readable(document: dict[str, Any]) -> str:
    lines = [
        f"# efsprov on AWS: {'passed' if document['passed'] else 'FAILED'}",
        "",
        f"Run {document['run']} in {document['region']}, {document['began']}; "
        + ", ".join(f"{name} {value}" for name, value in document["versions"].items()),
        "",
        "| step | outcome | seconds | requests | |",
        "|---|---|---|---|---|",
    ]
    for step in document["steps"]:
        shown = step["error"] or _figures(step["figures"])
        shown = shown.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {step['name']} | {step['outcome']} | {step['seconds']:.0f} | {len(step['calls'])} | {shown} |")
    lines += [
        "",
        "Not removed:" if document["left"] else "Nothing is left.",
        *(f"- {each}" for each in document["left"]),
    ]
    lines += ["", "## Requests that AWS answered with an error", ""]
    failed = [(step["name"], call) for step in document["steps"] for call in step["calls"] if call["error"]]
    lines += [f"- {name}: {call['action']}, {call['error']}, {call['request_id']}" for name, call in failed] or [
        "None."
    ]
    return "\n".join([*lines, ""])


def _figures(figures: dict[str, Any]) -> str:
    kept = {name: value for name, value in figures.items() if name not in {"rounds", "figures", "findings"}}
    return json.dumps(kept) if kept else ""
