"""What of a policy a run has needed: every action of every statement, each left out once."""

from collections.abc import Iterable, Iterator, Sequence

from devtools.strict_aws.policies import Check, Document, decide, without

__all__ = ["parts", "refused", "superfluous", "without"]


def parts(document: Document) -> Iterator[tuple[int, str]]:
    """Every action of a policy's allowing statements, with the number of its statement."""
    for number, statement in enumerate(document["Statement"]):
        if statement["Effect"] == "Allow":
            listed = statement["Action"]
            yield from ((number, action) for action in ([listed] if isinstance(listed, str) else listed))


def superfluous(document: Document, checks: Iterable[Check]) -> list[str]:
    """The actions without which all checks would still be allowed, as "Sid: action"."""
    requests = list(checks)
    return [
        f"{document['Statement'][number].get('Sid')}: {action}"
        for number, action in parts(document)
        if all(decide([without(document, number, action)], check).allowed for check in requests)
    ]


def refused(documents: Sequence[Document], checks: Iterable[Check]) -> list[str]:
    """The checks that policies do not allow, in words."""
    return [f"{c.action} on {c.resource} with {dict(c.context)}" for c in checks if not decide(documents, c).allowed]
