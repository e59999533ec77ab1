"""What a new account has before anybody asks for more, by its quota's code in Service Quotas (read 2026-11-26)."""

from collections.abc import Iterator
from dataclasses import dataclass

from devtools.strict_aws.refusal import Refusal
from devtools.strict_aws.wire import Call

_DOCS = "https://docs.aws.amazon.com/"
# vCPUs by a type's size: https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html
_VCPUS = {"medium": 1, "large": 2, "xlarge": 4, "metal": 96}


@dataclass(frozen=True)
class Quotas:
    """Most MB of a function's memory, environments at once, and vCPUs of standard instances at once."""

    function_memory: int = 10_240
    concurrency: int = 1000
    vcpus: int = 32


# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: "new accounts have reduced concurrency and
# memory quotas"; what they are is in public reports: 3,008 MB, 10 environments. EC2: L-1216C47A, 5 vCPUs by default.
NEW_ACCOUNT = Quotas(function_memory=3008, concurrency=10, vcpus=5)


def vcpus_of(instance_type: str) -> int:
    """The vCPUs of an instance type, by its size; 0 where the name says nothing."""
    size = instance_type.partition(".")[2].partition("-")[0]
    times = size.removesuffix("xlarge")
    return int(times) * 4 if size.endswith("xlarge") and times.isdigit() else _VCPUS.get(size, 0)


def check_quotas(call: Call, quotas: Quotas) -> Iterator[Refusal]:
    """Yield what an account with these quotas is refused."""
    memory = call.parameters.get("MemorySize") if call.service == "lambda" else None
    if memory is not None and memory > quotas.function_memory:
        message = (
            "'MemorySize' value failed to satisfy constraint: "
            f"Member must have value less than or equal to {quotas.function_memory}"
        )
        source = f"{_DOCS}lambda/latest/dg/gettingstarted-limits.html"
        yield Refusal(call.action, "quota", "MemorySize", message, "InvalidParameterValueException", source)
    if call.action == "ec2:RunInstances":
        wanted = vcpus_of(call.parameters.get("InstanceType", "")) * call.parameters.get("MinCount", 1)
        if wanted > quotas.vcpus:
            message = (
                f"You have requested more vCPU capacity than your current vCPU limit of {quotas.vcpus} allows "
                "for the instance bucket that the specified instance type belongs to"
            )
            source = f"{_DOCS}ec2/latest/instancetypes/ec2-instance-quotas.html"
            yield Refusal(call.action, "quota", "InstanceType", message, "VcpuLimitExceeded", source)


def account_settings(quotas: Quotas) -> dict[str, object]:
    """What lambda:GetAccountSettings says of an account with nothing in it.

    https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
    """
    limit = {
        "TotalCodeSize": 80_530_636_800,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": quotas.concurrency,
        "UnreservedConcurrentExecutions": quotas.concurrency,
    }
    return {"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 0}}
