"""Writes the user-data of the builder instance: the files of bootstrap/builder, filled in."""

import json
from importlib.resources import files
from string import Template
from typing import Final

from efsprov.builders.ec2.keypair import KeyPair
from efsprov.builders.ec2.settings import MOUNT_POINT, CompleteSettings, check_root
from efsprov.core.command_words import check_user
from efsprov.core.errors import BuilderError, GateError
from efsprov.core.target import Target
from efsprov.core.wording import join

STATUS: Final = "/run/efsprov/status"
LEASE: Final = "/run/efsprov/lease"
REKEY: Final = "/usr/local/lib/efsprov/rekey.sh"
LEASE_SECONDS: Final = 900
"""An instance that nobody asks for anything for this long powers itself off."""
_POLL_SECONDS: Final = 20
_MARGIN_SECONDS: Final = 900
_MAX_BYTES: Final = 16384  # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
_SYSTEM_PYTHON: Final = "3.9"
# https://docs.aws.amazon.com/linux/al2023/ug/python.html: what Amazon Linux 2023 has besides its own 3.9
_PACKAGED: Final = ("3.11", "3.12", "3.13", "3.14")
_ANY_FOR_EFSPROV: Final = "3.11"


def packages_for(target: Target) -> tuple[str, ...]:
    """Return the packages that give Amazon Linux 2023 the target's Python and one that efsprov itself can run by.

    Raises ``GateError`` for a Python that it has no package of.
    """
    if target.python == _SYSTEM_PYTHON:
        return ("amazon-efs-utils", f"python{_ANY_FOR_EFSPROV}")
    if target.python in _PACKAGED:
        return ("amazon-efs-utils", f"python{target.python}")
    raise GateError(
        f"Amazon Linux 2023 has no package of Python {target.python}: an EC2 builder cannot prove that {target.name} imports.",
        hint=f"It has {join((_SYSTEM_PYTHON, *_PACKAGED))}. Build for one of them, or on a host that has it: --builder ssh or local.",
    )


def render(settings: CompleteSettings, target: Target, root: str, host_key: KeyPair, *, mount_target: str = "") -> str:
    """Return the user-data (a cloud-config) for a run with its root; ``host_key`` is the throwaway one that it brings.

    ``mount_target`` is the address of the mount target, where it is known: then the VPC needs no DNS names for it.
    Raises ``UsageError`` for a user or root that a script must not see.
    """
    folder = files("efsprov.builders.ec2") / "cloud_init"
    texts = {name: (folder / f"{name}.sh").read_text("utf-8") for name in ("deadman", "prepare", "rekey")}
    command = (
        "/usr/local/lib/efsprov/prepare.sh",
        check_user(settings.user),
        MOUNT_POINT,
        check_root(root),
        settings.file_system,
        settings.access_point or "-",
        mount_target or "-",
        *packages_for(target),
    )
    values: dict[str, object] = {
        **texts,
        "prepare_command": command,
        "host_private_key": host_key.private,
        "host_public_key": f"{host_key.public} efsprov",
        "limit_seconds": settings.minutes * 60 + _MARGIN_SECONDS,
        "lease_seconds": LEASE_SECONDS,
        "look_seconds": _POLL_SECONDS,
    }
    template = Template((folder / "user-data.yaml").read_text("utf-8"))
    text = template.substitute({name: json.dumps(value) for name, value in values.items()})
    if len(text.encode()) > _MAX_BYTES:
        raise BuilderError(
            f"The user-data has {len(text.encode())} bytes; EC2 takes {_MAX_BYTES}.", hint="Shorten the root's path."
        )
    return text
