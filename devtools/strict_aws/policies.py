"""Decides as IAM does: implicit deny, explicit deny wins, a condition key that the request does not have fails its condition.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html (read 2026-11-26)
"""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VARIABLE = re.compile(r"\$\{([a-z0-9-]+:[\w/-]+)\}", re.IGNORECASE)

Document = Mapping[str, Any]
Context = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Check:
    """One question to IAM: may the caller do an action on a resource, the request's condition keys being these?"""

    action: str
    resource: str
    context: Context


@dataclass(frozen=True)
class Decision:
    """``allowed``, and the ids ("Sid") of the statements that decided: those that allow, or those that deny."""

    allowed: bool
    denied: bool
    statements: tuple[str, ...]


def decide(documents: Iterable[Document], check: Check) -> Decision:
    """Whether the policies of an identity allow what is asked."""
    fitting = [s for document in documents for s in _listed(document["Statement"]) if _fits(s, check)]
    denying = tuple(s.get("Sid", "") for s in fitting if s["Effect"] == "Deny")
    allowing = tuple(s.get("Sid", "") for s in fitting if s["Effect"] == "Allow")
    return Decision(bool(allowing) and not denying, bool(denying), denying or allowing)


def without(document: Document, statement: int, action: str) -> Document:
    """A policy with one action fewer in one of its statements; a statement that had no other goes."""
    kept = []
    for number, each in enumerate(document["Statement"]):
        if number == statement:
            left = [name for name in _listed(each["Action"]) if name != action]
            kept += [{**each, "Action": left}] if left else []
        else:
            kept.append(each)
    return {**document, "Statement": kept}


def matches(pattern: str, text: str, *, case: bool = True) -> bool:
    """IAM's wildcards: ``*`` for any characters, ``?`` for one."""
    if "${" in pattern:
        raise NotImplementedError(f"policy variables are not known here: {pattern}")
    words = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(words, text, re.DOTALL if case else re.DOTALL | re.IGNORECASE) is not None


def _fits(statement: Mapping[str, Any], check: Check) -> bool:
    if "NotAction" in statement or "NotResource" in statement:
        raise NotImplementedError("NotAction and NotResource are not known here")
    return (
        any(matches(action, check.action, case=False) for action in _listed(statement["Action"]))
        and any(_names(resource, check) for resource in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, _listed(wanted), check.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _names(resource: str, check: Check) -> bool:
    """Whether a statement's resource, its policy variables filled from the request's keys, is the one that is asked for.

    A variable without its key matches nothing
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
    """
    keys = {name.lower(): values[0] for name, values in check.context.items()}
    wanted = [name.lower() for name in _VARIABLE.findall(resource)]
    if any(name not in keys for name in wanted):
        return False
    return matches(_VARIABLE.sub(lambda found: keys[found[1].lower()], resource), check.resource)


def _holds(operator: str, key: str, wanted: Sequence[Any], context: Context) -> bool:
    found = next((values for name, values in context.items() if name.lower() == key.lower()), None)
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return (found is None) == (str(wanted[0]).lower() == "true")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if found is None:
        # "ForAllValues" holds for no values at all; a negated operator holds for a key that is not there
        return optional or quantifier == "ForAllValues" or (_negated(name) and quantifier != "ForAnyValue")
    test = OPERATORS[name.replace("Not", "")]
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in wanted]

    def one(value: str) -> bool:
        return any(test(value, text) for text in texts) != _negated(name)

    return all(map(one, found)) if quantifier == "ForAllValues" else any(map(one, found))


def _negated(name: str) -> bool:
    return "Not" in name


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(float(value), float(wanted))


def _date(compare: Callable[[dt.datetime, dt.datetime], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(dt.datetime.fromisoformat(value), dt.datetime.fromisoformat(wanted))


def _within(value: str, wanted: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: matches(wanted, value),
    "ArnEquals": lambda value, wanted: matches(wanted, value),
    "ArnLike": lambda value, wanted: matches(wanted, value),
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": _number(lambda a, b: a == b),
    "NumericLessThan": _number(lambda a, b: a < b),
    "NumericLessThanEquals": _number(lambda a, b: a <= b),
    "NumericGreaterThan": _number(lambda a, b: a > b),
    "NumericGreaterThanEquals": _number(lambda a, b: a >= b),
    "DateEquals": _date(lambda a, b: a == b),
    "DateLessThan": _date(lambda a, b: a < b),
    "DateLessThanEquals": _date(lambda a, b: a <= b),
    "DateGreaterThan": _date(lambda a, b: a > b),
    "DateGreaterThanEquals": _date(lambda a, b: a >= b),
    "IpAddress": _within,
}


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | bool | Mapping) else list(value)
