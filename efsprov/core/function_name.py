"""How people name a Lambda function: by name, partial ARN or ARN, each with or without a version or an alias at its end."""

import re
from typing import Final

from efsprov.core.errors import UsageError

# Lambda API reference, "FunctionName" of GetFunctionConfiguration (botocore 1.44.5, 2026-11-26).
_NAME: Final = re.compile(
    r"((?:(?:arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:)?\d{12}:function:)?[a-zA-Z0-9_-]+)(?::(\$LATEST|[a-zA-Z0-9_-]+))?"
)


def changeable_function(text: str) -> str:
    """Return the function that ``text`` names without ``$LATEST``, which alone can be changed.

    Raises ``UsageError`` for a version or an alias, and for what is not a function's name.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not a function.", hint="--function takes a function's name or its ARN.")
    name, qualifier = found[1], found[2]
    if qualifier in {None, "$LATEST"}:
        return name
    what = f"the version {qualifier}" if qualifier.isdecimal() else f"the alias {qualifier}"
    alias = "live" if qualifier.isdecimal() else qualifier
    raise UsageError(
        f"{text} is {what} of the function: what is published never changes.",
        hint=f"Name the function alone. --function {name} --publish --alias {alias} changes it, publishes a version of "
        f"that, and has the alias {alias} lead there.",
    )
