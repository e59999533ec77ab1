"""Removes a run's instances for certain."""

from efsprov.aws.compute import describe_instance, list_instances, terminate
from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, BuilderError
from efsprov.core.retry import wait_for

_UNSEEN_SECONDS = 15.0


def remove_instances(aws: Aws, run: str, known: str, *, seconds: float) -> None:
    """Terminate the instances of a run and wait, up to ``seconds``, until they are terminated.

    ``known`` is the instance's id, "" when the reply that would have told it did not come: then it is looked for by
    its tag, and for a while, since EC2 may not show at once what it has launched.
    Raises ``AwsError``, or ``BuilderError`` when one does not end in time.
    """
    found = (known,) if known else _look(aws, run)
    for instance in found:
        terminate(aws, instance)
    for instance in found:
        if wait_for(lambda instance=instance: _ended(aws, instance), seconds=seconds) is None:  # type: ignore[misc]
            raise BuilderError(f"{instance} was told to terminate, but has not in {seconds:.0f} s.")


def _look(aws: Aws, run: str) -> tuple[str, ...]:
    def probe() -> tuple[str, ...] | None:
        return tuple(instance.id for instance in list_instances(aws, run=run)) or None

    return wait_for(probe, seconds=_UNSEEN_SECONDS) or ()


def _ended(aws: Aws, instance: str) -> bool | None:
    try:
        return describe_instance(aws, instance).state == "terminated" or None
    except AwsError as error:
        if code_of(error) == "InvalidInstanceID.NotFound":  # terminated, and forgotten since
            return True
        raise
