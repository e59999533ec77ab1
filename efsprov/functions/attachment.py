"""What attaching and detaching change on a function: decided from its configuration alone, as data.

What was there before is written into one of the function's own variables, in the same change: it cannot be lost apart
from the change, and it goes with the function's published versions.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, ValidationError

from efsprov.aws.functions import FunctionConfig
from efsprov.core.errors import AwsError, ConflictError, GateError, NotFoundError, UsageError
from efsprov.core.frozen import Frozen

BEFORE: Final = "EFSPROV_BEFORE"
_MOST_LAYERS: Final = 5
_MOST_VARIABLES: Final = 4096  # bytes of all variables, as JSON


class Attachment(Frozen):
    """What a function is to get. ``layer`` is a layer version's ARN, "" for container images.

    ``subnets`` and ``groups`` are for a function that is in no VPC yet.
    """

    access_point: str
    mount_path: str
    variables: Mapping[str, str]
    layer: str = ""
    subnets: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    replace: bool = False


class Before(Frozen):
    """What was there before the first attachment, and what was put in its place."""

    env: dict[str, str | None] = Field(default_factory=dict)
    fs: tuple[tuple[str, str], ...] | None = None
    fs_set: tuple[str, str] | None = None
    layer: str | None = None
    layer_set: str | None = None
    vpc_set: bool = False

    def dump(self) -> str:
        """Write it as short as it goes: Lambda allows 4 KB for all variables."""
        return json.dumps(self.model_dump(exclude_defaults=True), separators=(",", ":"))


class Setting(Frozen):
    """One thing that would change: what, from what, to what; "" means that it is not there."""

    what: str
    before: str
    after: str


class WiringPlan(Frozen):
    """What would be done to a function. ``changes`` are UpdateFunctionConfiguration's parameters."""

    function: str
    settings: tuple[Setting, ...]
    changes: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def plan_attachment(function: FunctionConfig, wanted: Attachment) -> WiringPlan:
    """Decide what makes ``function`` have what is wanted, keeping all else.

    Raises ``ConflictError`` when it has another file system and ``wanted`` does not replace it, ``UsageError`` when it
    needs a VPC that is not named, ``GateError`` for what Lambda cannot do.
    """
    if function.snap_start:
        raise GateError(
            f"Function {function.name} has SnapStart, which works with no file system.",
            hint="Switch SnapStart off: `aws lambda update-function-configuration --snap-start ApplyOn=None`.",
        )
    _refuse_unreadable(function)
    before = read_before(function)
    changes: dict[str, Any] = {}
    mounted = (wanted.access_point, wanted.mount_path)
    there = tuple((m.access_point, m.path) for m in function.mounted)
    if there != (mounted,):
        if there and there[0][0] != mounted[0] and not wanted.replace:
            kind = "another file system" if function.mounted[0].is_efs else "a file system of S3 Files"
            raise ConflictError(
                f"Function {function.name} has {kind}: {there[0][0]} at {there[0][1]}. Lambda allows one.",
                hint="--replace puts this one in its place; `efsprov detach` gives the other one back.",
            )
        changes["FileSystemConfigs"] = [{"Arn": mounted[0], "LocalMountPath": mounted[1]}]
        before = before.model_copy(update={"fs": there if before.fs is None else before.fs, "fs_set": mounted})
    vpc = _vpc(function, wanted)
    if vpc:
        changes["VpcConfig"] = vpc
        before = before.model_copy(update={"vpc_set": True})
    if wanted.layer:
        layers, replaced = _with_layer(function, wanted.layer)
        if layers != function.layers:
            changes["Layers"] = list(layers)
            old = replaced if before.layer_set is None else before.layer
            before = before.model_copy(update={"layer": old, "layer_set": wanted.layer})
    wrong = {name: value for name, value in wanted.variables.items() if function.variables.get(name) != value}
    kept = {name: function.variables.get(name) for name in wrong if name not in before.env}
    before = before.model_copy(update={"env": {**before.env, **kept}})
    if changes or wrong:
        variables = {**function.variables, **wrong, BEFORE: before.dump()}
        if len(json.dumps(variables, separators=(",", ":"))) > _MOST_VARIABLES:
            raise GateError(
                f"Function {function.name} would have more than 4 KB of environment variables, Lambda's limit.",
                hint="Move some of them to a parameter store.",
            )
        changes["Environment"] = {"Variables": variables}
    notes = (
        *(() if wanted.layer or function.package != "Image" else (_IMAGE,)),
        *((_WAY_OUT,) if vpc else ()),
    )
    return WiringPlan(function=function.name, settings=_compare(function, changes), changes=changes, notes=notes)


def plan_detachment(function: FunctionConfig) -> WiringPlan:
    """Decide what gives back what was there; raises ``NotFoundError`` when the function was not attached."""
    _refuse_unreadable(function)
    if BEFORE not in function.variables:
        raise NotFoundError(
            f"Function {function.name} was not attached by efsprov: there is nothing to give back.",
            hint=f"`efsprov attach` notes what was there in the variable {BEFORE}.",
        )
    before, notes = read_before(function), []
    changes: dict[str, Any] = {}
    there = tuple((m.access_point, m.path) for m in function.mounted)
    if before.fs_set is not None and there == (before.fs_set,):
        changes["FileSystemConfigs"] = [{"Arn": arn, "LocalMountPath": path} for arn, path in before.fs or ()]
    elif before.fs_set is not None:
        notes.append("The file system was changed after it was attached: it stays as it is.")
    if before.layer_set and before.layer_set in function.layers:
        instead = (before.layer,) if before.layer else ()
        layers: list[str] = []
        for layer in function.layers:
            layers.extend(instead if layer == before.layer_set else (layer,))
        changes["Layers"] = layers
    elif before.layer_set:
        notes.append("The shim's layer was changed after it was attached: the layers stay as they are.")
    variables = {name: value for name, value in function.variables.items() if name != BEFORE and name not in before.env}
    changes["Environment"] = {"Variables": variables | {n: v for n, v in before.env.items() if v is not None}}
    if before.vpc_set and not changes.get("FileSystemConfigs", there):
        changes["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": []}
    return WiringPlan(function=function.name, settings=_compare(function, changes), changes=changes, notes=tuple(notes))


def _refuse_unreadable(function: FunctionConfig) -> None:
    """Variables that cannot be read cannot be kept: Lambda replaces all of them at once."""
    if function.unreadable:
        raise AwsError(
            f"The environment variables of function {function.name} cannot be read ({function.unreadable}), and changing "
            "the function's environment would lose them.",
            hint="Nothing was changed. Allow kms:Decrypt on the function's key to whoever runs efsprov, and run the command again.",
        )


def read_before(function: FunctionConfig) -> Before:
    """Return what an attachment noted; raises ``ConflictError`` when somebody has written something else there."""
    text = function.variables.get(BEFORE)
    if text is None:
        return Before()
    try:
        return Before.model_validate_json(text)
    except ValidationError as error:
        raise ConflictError(
            f"The variable {BEFORE} of function {function.name} is not what efsprov wrote there.",
            hint="It notes what was there before. Remove it, and whatever `efsprov attach` set, by hand.",
        ) from error


# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html, 2026-11-26
_WAY_OUT: Final = (
    "In a VPC the function has no way to the internet of its own, nor to AWS's services: what it reaches today it "
    "reaches through a NAT gateway or VPC endpoints of its subnets alone. `efsprov detach` takes it out of the VPC again."
)
_IMAGE: Final = (
    "The function is a container image, which takes no layers: put the distribution efsprov-bootstrap into the image "
    "(`efsprov layer bootstrap --wheel` makes it)."
)


def _vpc(function: FunctionConfig, wanted: Attachment) -> dict[str, list[str]] | None:
    if function.subnets:
        return None
    if not wanted.subnets or not wanted.groups:
        raise UsageError(
            f"Function {function.name} is in no VPC, and only a function in one can mount a file system.",
            hint="Name subnets that have a mount target in their zone, and a security group: --subnet ID --security-group ID.",
        )
    return {"SubnetIds": list(wanted.subnets), "SecurityGroupIds": list(wanted.groups)}


def _with_layer(function: FunctionConfig, layer: str) -> tuple[tuple[str, ...], str | None]:
    """Return the layers with the shim's among them, and the version of the same layer that it takes the place of."""
    series = layer.rpartition(":")[0]
    same = [arn for arn in function.layers if arn.rpartition(":")[0] == series]
    if same:
        return tuple(layer if arn == same[0] else arn for arn in function.layers), same[0]
    if len(function.layers) >= _MOST_LAYERS:
        raise GateError(
            f"Function {function.name} has {len(function.layers)} layers already, and Lambda allows {_MOST_LAYERS}.",
            hint="Put `efsprov/bootstrap` into the function's own package (the wheel of `efsprov layer bootstrap --wheel`) "
            "and use --no-layer, or take a layer away.",
        )
    return (*function.layers, layer), None


def _compare(function: FunctionConfig, changes: Mapping[str, Any]) -> tuple[Setting, ...]:
    found = []
    if "FileSystemConfigs" in changes:
        now = ", ".join(f"{m.access_point} at {m.path}" for m in function.mounted)
        then = ", ".join(f"{m['Arn']} at {m['LocalMountPath']}" for m in changes["FileSystemConfigs"])
        found.append(Setting(what="file system", before=now, after=then))
    if "VpcConfig" in changes:
        vpc = changes["VpcConfig"]
        found.append(Setting(what="subnets", before=", ".join(function.subnets), after=", ".join(vpc["SubnetIds"])))
        groups = ", ".join(vpc["SecurityGroupIds"])
        found.append(Setting(what="security groups", before=", ".join(function.groups), after=groups))
    if "Layers" in changes:
        found.append(Setting(what="layers", before=", ".join(function.layers), after=", ".join(changes["Layers"])))
    if "Environment" in changes:
        then = changes["Environment"]["Variables"]
        names = sorted(n for n in {*function.variables, *then} if function.variables.get(n) != then.get(n))
        found += [
            Setting(what=f"variable {n}", before=function.variables.get(n, ""), after=then.get(n, ""))
            for n in names
            if n != BEFORE
        ]
    return tuple(found)
