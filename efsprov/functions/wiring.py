"""Carries out what `attachment` decides: reads the function, changes it under its revision, waits until it runs so."""

from efsprov.aws.functions import FunctionConfig, get_function, update_configuration, wait_until_settled
from efsprov.aws.session import Aws
from efsprov.functions.attachment import WiringPlan


def read_settled(aws: Aws, name: str) -> FunctionConfig:
    """Return a function's configuration when no change of it is under way; raises ``AwsError``."""
    found = get_function(aws, name)
    return found if found.settled else wait_until_settled(aws, name)


def carry_out(aws: Aws, function: FunctionConfig, plan: WiringPlan) -> FunctionConfig:
    """Make the changes of a plan that was made from ``function``, and return the function as it is afterwards.

    Raises ``ConflictError`` when somebody else changed it since; then it is as they left it.
    """
    if not plan.changes:
        return function
    return update_configuration(aws, function, plan.changes)
