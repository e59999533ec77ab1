"""The policies as `efsprov iac iam` prints them."""

import json
from typing import Any

from typer.testing import CliRunner

from efsprov.cli.main import command_line


def printed_policies(purpose: str, *options: str, account: str = "123456789012", region: str) -> dict[str, Any]:
    """By whose they are: "orchestrator", "builder", "builder-trust", "function"."""
    arguments = ["iac", "iam", "--for", purpose, "--account", account, "--region", region, *options, "--json"]
    done = CliRunner(env={"EFSPROV_CONFIG": ""}).invoke(command_line(), arguments)
    assert done.exception is None, done.output
    files = json.loads(done.stdout)["files"]
    return {
        name.removeprefix(f"{purpose}-").removesuffix("-policy.json"): json.loads(text) for name, text in files.items()
    }
