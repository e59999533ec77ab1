"""efsprov's AWS session, with services of its own on loopback."""

import functools
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.session
from botocore.loaders import Loader

from efsprov.aws.session import Aws
from efsprov.net.retry import Policy

REGION = "us-east-1"


@functools.cache
def _models() -> Loader:
    """Reads each service's model once for the process: every session of its own would read EC2's 5 MB again."""
    return Loader()


@dataclass(frozen=True)
class LocalSession:
    """Makes boto3's clients for the services whose addresses are known; any other is a KeyError."""

    endpoints: dict[str, str] = field(default_factory=dict)
    key: str = "testing"
    secret: str = "testing"

    def client(self, service: str, **options: Any) -> Any:
        plain = botocore.session.Session()
        plain.register_component("data_loader", _models())
        session = boto3.Session(
            botocore_session=plain,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=options.pop("region_name", REGION),
        )
        return session.client(service, endpoint_url=self.endpoints[service], **options)


def local_aws(**endpoints: str) -> Aws:
    """The clients of services by name: ``local_aws(**{"lambda": url, "efs": url})``."""
    return Aws(
        LocalSession(endpoints), REGION, throttled=Policy("test", attempts=3, seconds=5, first=0.01, longest=0.05)
    )
