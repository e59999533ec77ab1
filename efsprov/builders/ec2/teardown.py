"""Removes instances for certain."""

from typing import Final

from efsprov.aws.compute import describe_instance, list_instances, terminate
from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, BuilderError
from efsprov.net.retry import wait_for

_UNSEEN_SECONDS: Final = 15.0


def remove_instance(aws: Aws, instance: str, *, seconds: float) -> None:
    """Terminate an instance and wait, up to ``seconds``, until it is; raises ``AwsError`` or ``BuilderError``."""
    terminate(aws, instance)
    if wait_for(lambda: _ended(aws, instance), seconds=seconds) is None:
        raise BuilderError(f"{instance} was told to terminate, but has not in {seconds:.0f} s.")


def remove_unknown(aws: Aws, run: str, *, seconds: float) -> None:
    """Remove the instance of a run whose launch was asked for and never answered, if there is one.

    It is looked for by its tag, and for a while, since EC2 may not show at once what it has launched.
    """

    def find() -> tuple[str, ...] | None:
        return tuple(instance.id for instance in list_instances(aws, run=run)) or None

    for instance in wait_for(find, seconds=_UNSEEN_SECONDS) or ():
        remove_instance(aws, instance, seconds=seconds)


def _ended(aws: Aws, instance: str) -> bool | None:
    try:
        return describe_instance(aws, instance).state == "terminated" or None
    except AwsError as error:
        if code_of(error) == "InvalidInstanceID.NotFound":  # terminated, and forgotten since
            return True
        raise
