"""efsprov's AWS session, with services of its own on loopback."""

from dataclasses import dataclass, field
from typing import Any

import boto3

from efsprov.aws.session import Aws
from efsprov.core.retry import Policy

REGION = "us-east-1"


@dataclass(frozen=True)
class LocalSession:
    """Makes boto3's clients for the services whose addresses are known; any other is a KeyError."""

    endpoints: dict[str, str] = field(default_factory=dict)

    def client(self, service: str, **options: Any) -> Any:
        session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoints[service], **options)


def local_aws(**endpoints: str) -> Aws:
    """The clients of services by name: ``local_aws(**{"lambda": url, "efs": url})``."""
    return Aws(
        LocalSession(endpoints), REGION, throttled=Policy("test", attempts=3, seconds=5, first=0.01, longest=0.05)
    )
