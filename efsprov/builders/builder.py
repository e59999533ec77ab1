"""What every builder can do."""

from typing import Protocol

from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.events import Emit


class Builder(Protocol):
    """A place where the pipeline can run."""

    def run(self, request: BuildRequest, emit: Emit) -> BuildResult:
        """Build what is asked for, telling ``emit`` how it goes; raises the ``EfsprovError`` that the pipeline raised.

        Whatever the builder made for the run (an instance, a process on a host) is gone when this returns or raises.
        """
        ...
