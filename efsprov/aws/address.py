"""The address under which this machine is seen."""

import ipaddress
import socket
import urllib.error
import urllib.request
from typing import Final

from efsprov.core.errors import AwsError

# AWS's own answer to "what is my address", https://checkip.amazonaws.com
CHECK: Final = "https://checkip.amazonaws.com"


def public_address(url: str = CHECK) -> str:
    """Return the address from which requests of this machine arrive on the internet; raises ``AwsError``."""
    hint = "Name it with [ec2] address, or --connect by another way."
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the URL is ours
            text = answer.read(100).decode("ascii", "replace").strip()
        return str(ipaddress.ip_address(text))
    except (urllib.error.URLError, OSError) as error:
        raise AwsError(f"This machine's public address could not be found out: {error}.", hint=hint) from error
    except ValueError as error:
        raise AwsError(
            f"This machine's public address could not be found out: {url} says {text!r}.", hint=hint
        ) from error


def address_toward(destination: str) -> str:
    """Return the address with which this machine would reach ``destination``, an address; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((destination, 9))
        except OSError as error:
            raise AwsError(
                f"There is no way from this machine to {destination}: {error.strerror}.",
                hint="Connect to the VPC (VPN, peering), or use --connect public, endpoint or ssm.",
            ) from error
        return str(probe.getsockname()[0])
