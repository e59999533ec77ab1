"""The IAM policies around the Lambda builder, the shim's layer, and the functions that import from the file system."""

from typing import Final

from efsprov.core.tags import BUILDER_FUNCTION
from efsprov.emit.iam_document import Document, Scope, allow, document, hand_the_role, join_the_vpc, mount, write_logs

_VPC: Final = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")


def builder_orchestrator_policy(scope: Scope) -> Document:
    """Return what `efsprov builder deploy`, `remove` and `follow`, and `sync --builder lambda`, have to be allowed."""
    function = scope.function_arns(scope.builder_function)
    return document(
        *_ask_the_builder(scope),
        allow("LookAtItsTags", ["lambda:ListTags"], function),
        allow(
            "MakeItTagged",
            ["lambda:CreateFunction", "lambda:TagResource"],
            function,
            {"Null": {f"aws:RequestTag/{BUILDER_FUNCTION}": "false"}},
        ),
        allow(
            "ChangeAndRemoveIt",
            ["lambda:DeleteFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"],
            function,
            {"Null": {f"aws:ResourceTag/{BUILDER_FUNCTION}": "false"}},
        ),
        hand_the_role(scope, "lambda.amazonaws.com"),
        *_connect_functions(scope),
    )


def builder_policy(scope: Scope) -> Document:
    """Return what the builder function has to be allowed: to mount and write, in its VPC, and to log."""
    name = scope.builder_function
    return document(mount(scope, "Mount", "Write"), *join_the_vpc(scope, name), *write_logs(scope, name))


def layer_policy(scope: Scope) -> Document:
    """Return what `efsprov layer bootstrap --publish` has to be allowed, and `layer deps` for a layer of another name."""
    layer = scope.arn("lambda", f"layer:{scope.layer}")
    objects = scope.arn("s3", f"{scope.bucket}/efsprov-layers/*", region="", account="")
    # Lambda reads the archive with the caller's permissions (PublishLayerVersion, LayerVersionContentInput).
    stored = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    return document(
        _find_the_layer(scope),
        allow("ReadTheLayer", ["lambda:GetLayerVersion"], [f"{layer}:*"]),
        allow("PublishTheLayer", ["lambda:PublishLayerVersion"], [layer]),
        *((allow("StoreLargeLayers", stored, [objects]),) if scope.bucket else ()),
    )


def attach_policy(scope: Scope) -> Document:
    """Return what `efsprov attach` and `detach` have to be allowed for the scope's functions."""
    changes = ["lambda:GetFunctionConfiguration", "lambda:UpdateFunctionConfiguration"]
    functions = scope.function_arns(*scope.functions)
    return document(
        allow("ReadAndChangeFunctions", changes, functions),
        allow("PublishFunctions", ["lambda:ListAliases", "lambda:PublishVersion", "lambda:UpdateAlias"], functions),
        allow("ReadVersions", ["lambda:GetFunctionConfiguration"], [f"{function}:*" for function in functions]),
        _find_the_layer(scope),
        # Who changes a function has to be allowed to read each of its layers, which may be other accounts'.
        allow("ReadLayers", ["lambda:GetLayerVersion"], [scope.arn("lambda", "layer:*", account="*")]),
        *_connect_functions(scope),
        *(_ask_the_builder(scope) if scope.builder_function else ()),
    )


def function_policy(scope: Scope) -> Document:
    """Return what functions that import from the file system have to be allowed: to mount it, and not to write."""
    names = scope.functions
    return document(mount(scope, "Mount"), *join_the_vpc(scope, *names), *write_logs(scope, *names))


def doctor_policy(scope: Scope) -> Document:
    """Return what `efsprov doctor` reads; what it may not read it says, and goes on."""
    looks = [
        # EFS asks it of who calls DescribeMountTargetSecurityGroups: botocore's model says so in that operation's text.
        "ec2:DescribeNetworkInterfaceAttribute",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
    ]
    storage = [
        "elasticfilesystem:DescribeFileSystemPolicy",
        "elasticfilesystem:DescribeFileSystems",
        "elasticfilesystem:DescribeLifecycleConfiguration",
        "elasticfilesystem:DescribeMountTargetSecurityGroups",
        "elasticfilesystem:DescribeMountTargets",
    ]
    functions = scope.function_arns(*scope.functions)
    reads = ["lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration", "lambda:ListTags"]
    return document(
        allow("ReadFunctions", reads, functions),
        allow("ReadBurstCredits", ["cloudwatch:GetMetricStatistics"], ["*"], scope.here),
        allow("ReadQuotas", ["lambda:GetAccountSettings"], ["*"], scope.here),
        allow("ReadTheFileSystem", storage, [scope.file_system_arn]),
        allow("ReadTheAccessPoint", ["elasticfilesystem:DescribeAccessPoints"], [scope.access_point_arn]),
        allow("ReadTheNetwork", looks, ["*"], scope.here),
        allow("AskWhatTheRoleMayDo", ["iam:SimulatePrincipalPolicy"], [scope.role_arn]),
        *(_ask_the_builder(scope) if scope.builder_function else ()),
    )


def _ask_the_builder(scope: Scope) -> tuple[Document, ...]:
    actions = ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"]
    return (allow("AskTheBuilder", actions, scope.function_arns(scope.builder_function)),)


def _find_the_layer(scope: Scope) -> Document:
    return allow("FindTheLayer", ["lambda:ListLayerVersions"], ["*"], scope.here)


def _connect_functions(scope: Scope) -> tuple[Document, ...]:
    """Lambda looks with the caller's permissions whether a function can be connected to the VPC and the file system.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-filesystem.html and configuration-vpc.html
    """
    return (
        allow("LetLambdaCheckMountTargets", ["elasticfilesystem:DescribeMountTargets"], [scope.file_system_arn]),
        allow("LetLambdaCheckTheVpc", _VPC, ["*"], scope.here),
    )
