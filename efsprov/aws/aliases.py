"""Published versions of a Lambda function, and the aliases that lead to them."""

from dataclasses import dataclass

from efsprov.aws.functions import FunctionConfig, client, wait_until_settled
from efsprov.aws.session import Aws


@dataclass(frozen=True)
class Alias:
    """A name that leads to a version; ``shared`` where part of the traffic goes to another one."""

    name: str
    version: str
    shared: bool


def list_aliases(aws: Aws, function: str) -> tuple[Alias, ...]:
    """Return a function's aliases, by name."""
    awslambda, found, marker = client(aws), list[Alias](), dict[str, str]()
    while True:
        page = aws.call(lambda: awslambda.list_aliases(FunctionName=function, **marker))  # type: ignore[arg-type]  # noqa: B023
        found += [
            Alias(a["Name"], a["FunctionVersion"], bool(a.get("RoutingConfig", {}).get("AdditionalVersionWeights")))
            for a in page["Aliases"]
        ]
        if not page.get("NextMarker"):
            return tuple(sorted(found, key=lambda alias: alias.name))
        marker = {"Marker": page["NextMarker"]}


def publish_version(aws: Aws, function: FunctionConfig) -> str:
    """Publish what the function is now, wait until that can be called, and return its version.

    Lambda publishes nothing new where nothing changed since the last version, so the request may be sent twice
    (https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html). Raises ``AwsError``.
    """
    awslambda = client(aws)
    version = aws.call(lambda: awslambda.publish_version(FunctionName=function.name, CodeSha256=function.code_sha256))[
        "Version"
    ]
    wait_until_settled(aws, f"{function.name}:{version}")
    return version


def move_alias(aws: Aws, function: str, alias: str, version: str) -> None:
    """Have an alias lead to a version; raises ``AwsError``."""
    awslambda = client(aws)
    aws.call(lambda: awslambda.update_alias(FunctionName=function, Name=alias, FunctionVersion=version))
