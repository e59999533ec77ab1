"""Holds a call's parameters against its service's model: what has to be there, lengths, ranges, patterns, values, texts.

boto3 itself looks at types, at what is required and at minima alone; the service looks at all of it:
https://smithy.io/2.0/spec/constraint-traits.html
"""

from collections.abc import Iterator
from typing import Any

from botocore.model import Shape

from devtools.strict_aws.patterns import compiled, words_of
from devtools.strict_aws.refusal import Refusal
from devtools.strict_aws.wire import Call

# The code with which a service refuses a parameter that its model does not allow.
CODES = {
    "ec2": "InvalidParameterValue",
    "iam": "ValidationError",
    "sts": "ValidationError",
    "cloudformation": "ValidationError",
    "s3": "InvalidArgument",
    "sqs": "InvalidParameterValue",
    "sns": "InvalidParameter",
    "efs": "ValidationException",
    "logs": "InvalidParameterException",
    "kms": "ValidationException",
}


def check_parameters(call: Call) -> Iterator[Refusal]:
    """Yield what the service's model does not allow of a call."""
    if call.model.input_shape is not None:
        for rule, where, message in _check(call.model.input_shape, call.parameters, ""):
            code = CODES.get(call.service, "ValidationException")
            source = f"botocore's model of {call.service}, {call.operation}"
            yield Refusal(call.action, rule, where, message, code, source)


def _check(shape: Any, value: Any, where: str) -> Iterator[tuple[str, str, str]]:
    if value is None or getattr(shape, "is_document_type", False):
        return
    match shape.type_name:
        case "structure":
            yield from _check_members(shape, value, where)
        case "list":
            yield from _size(shape, len(value), where, "members")
            for number, item in enumerate(value):
                yield from _check(shape.member, item, f"{where}[{number}]")
        case "map":
            yield from _size(shape, len(value), where, "members")
            for key, item in value.items():
                yield from _check(shape.key, key, f"{where} key {key!r}")
                yield from _check(shape.value, item, f"{where}[{key!r}]")
        case "string":
            yield from _check_text(shape, str(value), where)
        case "blob":
            yield from _size(shape, len(value), where, "bytes")
        case "integer" | "long" | "float" | "double":
            yield from _size(shape, value, where, "")


def _check_members(shape: Any, value: Any, where: str) -> Iterator[tuple[str, str, str]]:
    for name in shape.required_members:
        if name not in value:
            yield "required", f"{where}.{name}".lstrip("."), "is required"
    for name, member in shape.members.items():
        if name in value:
            inside = f"{where}.{name}".lstrip(".")
            yield from _check(member, value[name], inside)
            if isinstance(value[name], str) and (broken := words_of(member.documentation).broken_by(value[name])):
                yield "text", inside, f"{value[name]!r}: {broken}"


def _check_text(shape: Shape, text: str, where: str) -> Iterator[tuple[str, str, str]]:
    yield from _size(shape, len(text), where, "characters")
    if (pattern := shape.metadata.get("pattern")) and (found := compiled(pattern)) and not found.fullmatch(text):
        yield "pattern", where, f"{text!r} failed to satisfy {pattern}"
    if (values := shape.metadata.get("enum")) and text not in values:
        yield "enum", where, f"{text!r} is none of {', '.join(values[:20])}{', ...' if len(values) > 20 else ''}"


def _size(shape: Shape, value: float, where: str, unit: str) -> Iterator[tuple[str, str, str]]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        yield "length" if unit else "range", where, f"{value} {unit}, at least {least}"
    if most is not None and value > most:
        yield "length" if unit else "range", where, f"{value} {unit}, at most {most}"
