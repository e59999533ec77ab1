"""Words that become part of a command line, a program's options or a script on another machine.

What is allowed is listed; everything else is refused, and nothing is escaped. A word passes through more shells than
one program can see: ``ProxyCommand`` and ``Match exec`` of ssh_config put host and user into a command that a shell
reads (CVE-2023-51385, https://www.openssh.com/txt/release-9.6), cloud-init hands user-data to scripts, and messages
print commands for people to paste.
"""

import ipaddress
import re
from typing import Final

from efsprov.core.errors import UsageError

# Letters, digits and what joins them in DNS names and in aliases of ssh_config. None begins like an option.
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,252}", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
# useradd(8) without its trailing '$', and what directory services join domain and name by.
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]{0,63}", re.ASCII)
_PATH: Final = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_./+=@,:-]*", re.ASCII)
# https://docs.aws.amazon.com/general/latest/gr/rande.html: us-east-1, us-gov-west-1, eusc-de-east-1
REGION: Final = re.compile(r"[a-z]{2,8}(?:-[a-z]{1,16}){1,3}-[0-9]{1,2}", re.ASCII)


def check_host(text: str) -> str:
    """Return a host's name, alias or address as it is; raises ``UsageError`` for anything else."""
    if _HOST.fullmatch(text) or _is_address(text):
        return text
    raise UsageError(
        f"{_shown(text)} is not a host.",
        hint="A host is a name, an alias of ~/.ssh/config or an address: letters, digits and . _ - + only, "
        "as in ec2-user@build.example.com:22 or [2001:db8::1]:22.",
    )


def check_user(text: str) -> str:
    """Return the name of a user on another machine as it is; raises ``UsageError`` for anything else."""
    if _USER.fullmatch(text):
        return text
    raise UsageError(f"{_shown(text)} is not a user's name.", hint="It has letters, digits and . _ - + only: ec2-user.")


def check_remote_path(text: str, *, what: str) -> str:
    """Return a path on another machine as it is; raises ``UsageError`` naming ``what`` for anything else."""
    if _PATH.fullmatch(text):
        return text
    raise UsageError(
        f"{_shown(text)} is not a path that {what} may have.",
        hint="It has letters, digits and / . _ - + = @ , : only, because scripts on the other machine use it.",
    )


def check_region(text: str) -> str:
    """Return the name of an AWS region as it is; raises ``UsageError`` for anything else."""
    if REGION.fullmatch(text):
        return text
    raise UsageError(f"{_shown(text)} is not a region.", hint="A region looks like us-east-1.")


def _is_address(text: str) -> bool:
    address, _, zone = text.partition("%")
    if zone and not _ZONE.fullmatch(zone):
        return False
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return not text.endswith("%")


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."
