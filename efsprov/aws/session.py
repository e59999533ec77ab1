"""Who we are and where: the clients of one region, and the one way in which they are called."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from efsprov.aws.errors import encoded_denial, explain, explain_foreign, is_transient
from efsprov.aws.foreign import refuse_pages
from efsprov.core.command_words import check_region
from efsprov.core.errors import UsageError
from efsprov.net.retry import THROTTLED, Policy, call

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_efs import EFSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

T = TypeVar("T")
_ONE_TRY: Final[dict[str, Any]] = {
    # One request a call: what is tried again, how often, is said by the policies of core.retry. Left to itself,
    # botocore sends one call that times out up to five times.
    "retries": {"mode": "standard", "total_max_attempts": 1},
    "connect_timeout": 10,
    "read_timeout": 60,
    "user_agent_extra": "efsprov",
}
_clients = threading.Lock()  # boto3's sessions are not safe to make clients from in several threads


@dataclass(frozen=True)
class Aws:
    """The clients of one region. ``throttled`` says how calls are tried again."""

    session: Any
    region: str
    throttled: Policy = field(default=THROTTLED)

    def client(self, service: str, **config: Any) -> Any:
        """Make a client of a service; ``config`` are botocore's settings that differ from efsprov's."""
        with _clients:
            client = self.session.client(service, region_name=self.region, config=Config(**{**_ONE_TRY, **config}))
        client.meta.events.register("before-parse", refuse_pages)
        return client

    @cached_property
    def ec2(self) -> "EC2Client":
        """EC2's client."""
        client: EC2Client = self.client("ec2")
        return client

    @cached_property
    def efs(self) -> "EFSClient":
        """EFS's client."""
        client: EFSClient = self.client("efs")
        return client

    @cached_property
    def ssm(self) -> "SSMClient":
        """The client of Systems Manager."""
        client: SSMClient = self.client("ssm")
        return client

    @cached_property
    def sts(self) -> "STSClient":
        """The client of the Security Token Service."""
        client: STSClient = self.client("sts")
        return client

    def call(self, request: Callable[[], T]) -> T:
        """Return ``request()``; tried again while throttled or broken, so it has to be one that may happen twice.

        Raises ``AwsError`` in plain words, with botocore's exception as its cause (``errors.code_of`` reads the code).
        """
        try:
            return call(self.throttled, request, when=is_transient)
        except (ClientError, BotoCoreError) as error:
            raise explain(error, region=self.region, denial=self._decode(error)) from error
        except ResponseParserError as error:
            raise explain_foreign(error, region=self.region) from error

    def _decode(self, error: Exception) -> str:
        encoded = encoded_denial(error)
        if encoded is None:
            return ""
        try:
            return self.sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"]
        except (ClientError, BotoCoreError):
            return ""  # that takes a permission of its own; the error says so


def open_session(region: str | None = None, profile: str | None = None) -> Aws:
    """Return the clients for a region; raises ``AwsError`` when no region is set or there is no such profile.

    Without a region it is the one of AWS_REGION, AWS_DEFAULT_REGION or the profile. No request is sent.
    """
    try:
        # boto3 itself reads AWS_DEFAULT_REGION alone; Lambda, and most other SDKs, go by AWS_REGION.
        session = boto3.Session(profile_name=profile, region_name=region or os.environ.get("AWS_REGION"))
    except BotoCoreError as error:
        raise explain(error, region=region or "") from error
    if not session.region_name:
        raise UsageError("No AWS region is set.", hint="Name one: --region eu-central-1, or AWS_REGION.")
    return Aws(session, check_region(session.region_name))  # messages print commands that name it
