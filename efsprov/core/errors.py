"""Every way in which efsprov fails, each with a stable code and exit code.

A message says what happened and where; the hint says what to do next. The reference page
``docs/reference/exit-codes.md`` lists the classes below, and a test holds it to them.
"""

from typing import ClassVar, Final

WOULD_CHANGE: Final = 2
"""How `plan --exit-code` ends where a sync would change something: as `terraform plan -detailed-exitcode` and `git diff
--exit-code` taught people. No error, so no class has it; a usage error, which has the same number, says so on stderr."""


class EfsprovError(Exception):
    """Root of all that efsprov raises on purpose; shown to the user as a message, never as a traceback.

    ``message`` tells what happened and where, ``hint`` what to do next (may be empty). ``code`` names the class for
    machines, ``exit_code`` is what the process ends with.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(EfsprovError):
    """An option, a setting or a requirement is missing, or is not of the form that it must have."""

    code = "usage"
    exit_code = 2


class ResolveError(EfsprovError):
    """The requirements have no solution: unknown package, no such version, or a conflict."""

    code = "resolve"
    exit_code = 3


class GateError(EfsprovError):
    """Wheels exist, but cannot run in the target, or may not be installed without consent."""

    code = "gate"
    exit_code = 4


class FetchError(EfsprovError):
    """A file could not be downloaded, or its hash is not the lock's."""

    code = "fetch"
    exit_code = 5


class BuildError(EfsprovError):
    """Staging failed: the installer, an archive that contradicts its RECORD, or an interpreter that is missing."""

    code = "build"
    exit_code = 6


class SmokeError(EfsprovError):
    """The release does not import in a fresh interpreter of the target; nothing was published."""

    code = "smoke"
    exit_code = 7
    wanted_folders: tuple[str, ...] = ()
    """Folders in the release that the import wanted to make, relative to its site."""


class RootError(EfsprovError):
    """The root cannot be used: not a directory, not writable, full, or of a newer format."""

    code = "root"
    exit_code = 8


class BusyError(EfsprovError):
    """Another publisher holds the channel's publisher lock."""

    code = "busy"
    exit_code = 9


class NotFoundError(EfsprovError):
    """There is no such channel, target or release."""

    code = "not-found"
    exit_code = 10


class IntegrityError(EfsprovError):
    """What lies on the root is not what its manifest or its journal says."""

    code = "integrity"
    exit_code = 11


class ConflictError(EfsprovError):
    """Somebody else changed the channel in the meantime; the journal tells who."""

    code = "conflict"
    exit_code = 12


class BuilderError(EfsprovError):
    """The builder could not be launched, reached or kept, or was not removed."""

    code = "builder"
    exit_code = 13


class AwsError(EfsprovError):
    """An AWS call failed for good: access denied, a missing resource, a quota."""

    code = "aws"
    exit_code = 14


class ModelError(EfsprovError):
    """A model's files are not of a sound or permitted format."""

    code = "model"
    exit_code = 15


class BadReleaseError(EfsprovError):
    """What is to be published was published before and marked bad; the mark says by whom and why."""

    code = "bad-release"
    exit_code = 16


class RolledBackError(EfsprovError):
    """What is to be made current is what somebody rolled back from."""

    code = "rolled-back"
    exit_code = 17


class CancelledError(EfsprovError):
    """The user stopped the run (Ctrl-C, SIGTERM); the root is as it was."""

    code = "cancelled"
    exit_code = 130
