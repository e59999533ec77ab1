"""The IAM policies that efsprov needs, one set a purpose, as narrow as AWS allows: text from data."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from efsprov.core.errors import UsageError
from efsprov.core.partition import ec2_principal
from efsprov.emit import iam_ec2, iam_lambda
from efsprov.emit.iam_document import Document, Scope, allow, document, trust

Purpose = Literal["ec2", "lambda", "layer", "attach", "doctor", "models", "bundles"]
Part = Literal["orchestrator", "builder", "builder-trust", "function"]


@dataclass(frozen=True)
class _Need:
    """A field of the scope that a purpose cannot do without, and the option that gives it."""

    field: str
    option: str


_FILE_SYSTEM: Final = _Need("file_system", "--file-system fs-ID")
_ACCESS_POINT: Final = _Need("access_point", "--access-point fsap-ID")
_FUNCTION: Final = _Need("functions", "--function NAME")
_NEEDS: Final[Mapping[Purpose, tuple[_Need, ...]]] = {
    "ec2": (_FILE_SYSTEM,),
    "lambda": (_FILE_SYSTEM, _ACCESS_POINT, _Need("builder_function", "--builder-function NAME")),
    "layer": (),
    "attach": (_FILE_SYSTEM, _ACCESS_POINT, _FUNCTION),
    "doctor": (_FILE_SYSTEM, _ACCESS_POINT, _FUNCTION),
    "models": (_Need("bucket", "--bucket NAME"),),
    "bundles": (_Need("bucket", "--bucket NAME"),),
}


def policies(scope: Scope, purpose: Purpose) -> Mapping[Part, Document]:
    """Return the policies of a purpose, by whose they are: who runs efsprov, the builder's role, the functions' role.

    Raises ``UsageError`` when the scope does not say what they are to be narrowed to.
    """
    for need in _NEEDS[purpose]:
        if not getattr(scope, need.field):
            raise UsageError(
                f"The policies for {purpose} need {need.option}.",
                hint="They are narrowed to it: docs/reference/iam.md.",
            )
    return {part: make(scope) for part, make in PARTS[purpose].items()}


def files(scope: Scope, purpose: Purpose) -> dict[str, str]:
    """Return the policies of a purpose as the contents of JSON files, by the files' names; raises as ``policies``."""
    made = policies(scope, purpose)
    return {f"{purpose}-{part}-policy.json": f"{json.dumps(policy, indent=2)}\n" for part, policy in made.items()}


def models_policy(scope: Scope) -> Document:
    """Return what `efsprov model push s3://...` has to be allowed."""
    bucket = scope.arn("s3", scope.bucket, region="", account="")
    below = {"StringLike": {"s3:prefix": f"{scope.prefix}*"}} if scope.prefix else None
    return document(
        allow("ListModels", ["s3:ListBucket"], [bucket], below),
        allow("ReadModels", ["s3:GetObject", "s3:GetObjectVersion"], [f"{bucket}/{scope.prefix}*"]),
    )


def bundles_policy(scope: Scope) -> Document:
    """Return what `efsprov bundle` with `s3://...` has to be allowed, push and pull."""
    bucket = scope.arn("s3", scope.bucket, region="", account="")
    return document(
        # A missing object is 404 for who may list the bucket, else 403 (HeadObject and GetObject, "Permissions").
        allow("KnowWhatIsMissing", ["s3:ListBucket"], [bucket]),
        allow("ReadBundles", ["s3:GetObject"], [f"{bucket}/{scope.prefix}*"]),
        allow("WriteBundles", ["s3:PutObject", "s3:AbortMultipartUpload"], [f"{bucket}/{scope.prefix}*"]),
    )


PARTS: Final[Mapping[Purpose, Mapping[Part, Callable[[Scope], Document]]]] = {
    "ec2": {
        "orchestrator": iam_ec2.orchestrator_policy,
        "builder": iam_ec2.builder_policy,
        "builder-trust": lambda scope: trust(ec2_principal(scope.partition)),
    },
    "lambda": {
        "orchestrator": iam_lambda.builder_orchestrator_policy,
        "builder": iam_lambda.builder_policy,
        "builder-trust": lambda _: trust("lambda.amazonaws.com"),
    },
    "layer": {"orchestrator": iam_lambda.layer_policy},
    "attach": {"orchestrator": iam_lambda.attach_policy, "function": iam_lambda.function_policy},
    "doctor": {"orchestrator": iam_lambda.doctor_policy},
    "models": {"orchestrator": models_policy},
    "bundles": {"orchestrator": bundles_policy},
}
