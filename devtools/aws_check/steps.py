"""A check is a list of steps: each makes or proves one thing, and may say figures for the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devtools.aws_check import commands, measuring, network, roles, storage
from devtools.aws_check.account import Account
from devtools.aws_check.commands import Options


@dataclass(frozen=True)
class Step:
    """``run`` does it, and raises when it cannot."""

    name: str
    run: Callable[[Account, Options], Mapping[str, Any]]


def _making(make: Callable[[Account], None]) -> Callable[[Account, Options], Mapping[str, Any]]:
    def run(check: Account, options: Options) -> Mapping[str, Any]:
        del options
        make(check)
        return {}

    return run


MAKING = (
    Step("make a VPC", _making(network.make_vpc)),
    Step("make a way out for functions", _making(network.make_way_out)),
    Step("make security groups", _making(network.make_groups)),
    Step("make a file system", _making(storage.make_file_system)),
    Step("make a bucket with a model", _making(storage.make_bucket)),
    Step("make roles with the printed policies", _making(roles.make_roles)),
)
PROVING = (
    Step("sync --builder ec2", commands.sync_on_ec2),
    Step("builder deploy", commands.deploy_builder),
    Step("sync --builder lambda", commands.sync_in_lambda),
    Step("layer bootstrap --publish", commands.publish_layer),
    Step("make a function", measuring.make_function),
    Step("attach", commands.attach),
    Step("invoke it", measuring.invoke),
    Step("doctor", commands.doctor),
    Step("measure cold starts", measuring.measure_cold_starts),
    Step("model push from S3", commands.push_model),
    Step("detach", commands.detach),
    Step("reap", commands.reap),
    Step("builder remove", commands.remove_builder),
)
STEPS = (*MAKING, *PROVING)
