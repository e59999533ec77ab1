"""Options that several verbs have: a dataclass declares them once, and each verb gets them as one argument."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Any


def spread_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Return ``verb`` with the fields of each dataclass among its parameters as options of their own, for typer.

    A field's annotation and default are what a parameter's would be. No two fields or parameters share a name.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Callable[..., Any]] = {}
    members: dict[str, list[str]] = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
            fields = inspect.signature(parameter.annotation).parameters.values()
            groups[name], members[name] = parameter.annotation, [field.name for field in fields]
            parameters += [field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in fields]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(verb)
    def run(**given: Any) -> None:
        gathered = {
            name: kind(**{member: given.pop(member) for member in members[name]}) for name, kind in groups.items()
        }
        verb(**given, **gathered)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
