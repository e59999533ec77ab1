"""Access points of EFS, which people name by their id or their ARN."""

import re
from typing import Final

from efsprov.core.errors import UsageError

ACCESS_POINT_ID: Final = r"fsap-[0-9a-f]{8,40}"
_ARN = re.compile(rf"arn:aws[\w-]*:elasticfilesystem:[\w-]+:\d{{12}}:access-point/({ACCESS_POINT_ID})")


def access_point_id(text: str) -> str:
    """Return the id of an access point that is named by its id or its ARN; raises ``UsageError`` for anything else.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticfilesystem.html
    """
    found = _ARN.fullmatch(text)
    if found:
        return found[1]
    if re.fullmatch(ACCESS_POINT_ID, text):
        return text
    raise UsageError(
        f"{text!r} is not an access point.",
        hint="--access-point takes an id, fsap-0123456789abcdef0, or the ARN that ends with it.",
    )
