"""The local builder: the pipeline runs in this process, on a root that is mounted here."""

from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.events import Emit
from efsprov.pipeline.run import build
from efsprov.pipeline.tools.installer_settings import InstallerSettings


class LocalBuilder:
    """Builds on this machine. ``settings`` say how downloads reach their servers, by default as the environment does."""

    def __init__(self, settings: InstallerSettings | None = None) -> None:
        self._settings = settings

    def run(self, request: BuildRequest, emit: Emit) -> BuildResult:
        """Build what is asked for; see ``Builder.run``."""
        return build(request, emit=emit, settings=self._settings)
