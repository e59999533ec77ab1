"""The account under test: clients of one region, and the names and tags by which a check knows what it made."""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from efsprov.emit.iam import Purpose

T = TypeVar("T")
TAG = "efsprov-check"
PURPOSES: tuple[Purpose, ...] = ("ec2", "lambda", "layer", "attach", "doctor", "models")
ROLES = ("ec2-builder", "lambda-builder", "function", *(f"as-{purpose}" for purpose in PURPOSES))
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 6}, user_agent_extra="efsprov-check")


class CheckError(Exception):
    """A step could not do its work; the message says what happened."""


@dataclass
class Made:
    """The ids of what the steps made for each other."""

    vpc: str = ""
    zone: str = ""
    public: str = ""
    private: str = ""
    table: str = ""
    workers: str = ""
    guard: str = ""
    file_system: str = ""
    access_point: str = ""
    layers_before: frozenset[int] | None = None


@dataclass
class Account:
    """One region of one account, and one check in it. ``sleep`` and ``clock`` are in seconds."""

    number: str
    region: str
    run: str
    environment: Mapping[str, str]
    folder: Path
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    made: Made = field(default_factory=Made)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The client of a service; throttled and broken requests are sent again."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service, region_name=self.region, endpoint_url=self.environment.get("AWS_ENDPOINT_URL"), config=_CONFIG
            )
        return self._clients[service]

    @functools.cached_property
    def _session(self) -> Any:
        given = self.environment
        return boto3.Session(
            aws_access_key_id=given.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=given.get("AWS_SESSION_TOKEN"),
            profile_name=given.get("AWS_PROFILE"),
            region_name=self.region,
        )

    @functools.cached_property
    def partition(self) -> str:
        """The partition of the region: "aws", "aws-cn", ..."""
        return str(self._session.get_partition_for_region(self.region))

    def name(self, part: str = "") -> str:
        """The name of something of this check, the same each time."""
        return f"{TAG}-{self.run}{f'-{part}' if part else ''}"

    @property
    def bucket(self) -> str:
        """The bucket's name, which is the account's own in all of AWS."""
        return f"{self.name()}-{self.number}"

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """The ARN of something of this account."""
        place = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{place}:{self.number}:{resource}"

    def tags(self) -> list[dict[str, str]]:
        """The tags of all that is made, as most services take them."""
        return [{"Key": TAG, "Value": self.run}, {"Key": "Name", "Value": self.name()}]

    def born(self, kind: str) -> list[dict[str, Any]]:
        """The same as EC2 takes them in the request that makes something."""
        return [{"ResourceType": kind, "Tags": self.tags()}]

    @property
    def tagged(self) -> list[dict[str, Any]]:
        """The filter by which EC2 finds what this check made."""
        return [{"Name": f"tag:{TAG}", "Values": [self.run]}]

    def until(self, what: str, look: Callable[[], T], *, seconds: float, every: float = 5.0) -> T:
        """Return ``look()`` once it is true; raises ``CheckError`` after ``seconds``, with what went wrong last.

        An error of AWS's counts as not yet: what was just made is often not known everywhere.
        https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
        """
        end, last = self.clock() + seconds, ""
        while True:
            try:
                if found := look():
                    return found
            except (ClientError, BotoCoreError) as error:
                last = f": {error}"
            if self.clock() >= end:
                raise CheckError(f"{what}: not within {seconds:.0f} s{last}")
            self.sleep(every)
