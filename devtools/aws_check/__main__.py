"""python -m devtools.aws_check --account NUMBER --region REGION [--yes], or --remove RUN."""

import argparse
import datetime as dt
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from devtools.aws_check import prices
from devtools.aws_check.account import Account
from devtools.aws_check.commands import Options
from devtools.aws_check.removal import remove_all
from devtools.aws_check.report import write_report
from devtools.aws_check.run import run_check
from devtools.aws_check.steps import STEPS


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.aws_check", description="Prove efsprov on AWS.")
    parser.add_argument("--account", required=True, help="the account's twelve digits: it has to be the one we are in")
    parser.add_argument("--region", required=True)
    parser.add_argument("--yes", action="store_true", help="do not ask before making what costs money")
    parser.add_argument("--report", type=Path, default=Path("aws-check"), help="the folder for the reports")
    parser.add_argument("--remove", metavar="RUN", help="only remove what a run that was killed has left")
    default = Options()
    parser.add_argument(
        "--framework", default=default.framework, help="what is built on EC2 and imported (%(default)s)"
    )
    parser.add_argument("--module", help="what a handler imports of it (its name)")
    parser.add_argument("--small", default=default.small, help="what the Lambda builder builds (%(default)s)")
    parser.add_argument("--runtime", default=default.runtime)
    parser.add_argument("--arch", default=default.arch, choices=("x86_64", "arm64"))
    parser.add_argument("--settings", type=Path, help="an efsprov.toml of yours: an index, a proxy")
    parser.add_argument(
        "--patience", type=float, default=default.patience, help="seconds for slow removals (%(default)s)"
    )
    return parser.parse_args(arguments)


def _say(message: str) -> None:
    print(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {message}", file=sys.stderr, flush=True)


def _agreed(check: Account) -> bool:
    print(
        f"In account {check.number}, {check.region}, run {check.run}: {len(STEPS)} steps, about an hour. What it costs:"
    )
    print(prices.table())
    print(
        f"About {prices.estimate():.2f} $, at most {prices.LIMIT:.2f} $, and {prices.hourly():.2f} $ for each hour that "
        f"it is not removed. Everything carries the tag {check.tags()[0]['Key']}={check.run}, and is removed on every way out."
    )
    if not sys.stdin.isatty():
        print("Say --yes to begin.", file=sys.stderr)
        return False
    return input("Make all this? [y/N] ").strip().lower() == "y"


def main(arguments: list[str], *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Exit codes: 0 all passed and nothing is left, 1 something failed or is left, 2 nothing was begun."""
    asked = _parse(arguments)
    if not re.fullmatch(r"\d{12}", asked.account, re.ASCII):
        print("--account takes twelve digits: aws sts get-caller-identity", file=sys.stderr)
        return 2
    began = dt.datetime.now(dt.UTC)
    run = asked.remove or f"{began:%m%d%H%M}{secrets.token_hex(3)}"
    if not re.fullmatch(r"[0-9a-f]{14}", run, re.ASCII):
        print("--remove takes a run's id, as the check printed it", file=sys.stderr)
        return 2
    folder = (asked.report / run).resolve()
    check = Account(asked.account, asked.region, run, dict(os.environ), folder, sleep)
    try:
        found = check.client("sts").get_caller_identity()["Account"]
    except (ClientError, BotoCoreError) as error:
        print(f"AWS does not know who we are: {error}", file=sys.stderr)
        return 2
    if found != asked.account:
        print(f"These credentials are of account {found}, not {asked.account}: nothing was made.", file=sys.stderr)
        return 2
    if asked.remove:
        left = remove_all(check, _say, patience=asked.patience)
        print("\n".join(f"left: {each}" for each in left) or "Nothing is left.")
        return 1 if left else 0
    if not asked.yes and not _agreed(check):
        return 2
    module = asked.module or re.split(r"[=<>!~\[]", asked.framework)[0].replace("-", "_")
    options = Options(asked.framework, asked.small, module, asked.runtime, asked.arch, asked.settings, asked.patience)
    folder.mkdir(parents=True)
    outcome = run_check(check, options, STEPS, _say)
    files = write_report(check, options, outcome, began=began)
    print(f"{'Passed' if outcome.passed else 'FAILED'}. The report: {files[1]}, with every request's id {files[0]}")
    for each in outcome.left:
        print(f"left: {each}")
    if outcome.left:
        print(f"Try again later: python -m devtools.aws_check --account N --region {check.region} --remove {run}")
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
