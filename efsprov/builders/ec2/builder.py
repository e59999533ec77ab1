"""The EC2 builder: a literal list of steps, then the ssh builder on what they made, then everything undone."""

import contextlib
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from efsprov.aws.session import Aws, open_session
from efsprov.builders.ec2.clean_up import CleanUp, Leftover
from efsprov.builders.ec2.launch import Launch, Timeouts
from efsprov.builders.ec2.preflight import preflight
from efsprov.builders.ec2.run_record import Process, RunRecord, expiry
from efsprov.builders.ec2.settings import Ec2Settings, check_root
from efsprov.builders.ec2.steps import STEPS, Step
from efsprov.builders.ec2.user_data import LEASE
from efsprov.builders.ssh.builder import Program, SshBuilder
from efsprov.builders.ssh.host import Host
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.errors import BuilderError, CancelledError, EfsprovError
from efsprov.core.events import Emit, Event
from efsprov.core.target import Target


@dataclass(frozen=True)
class Ec2Builder:
    """Builds on an instance that is launched for it and gone afterwards.

    ``program`` is what the instance runs, ``environment`` what it is told of index settings, ``steps`` what happens
    between the preflight and the build.
    """

    settings: Ec2Settings
    program: Program
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    steps: Sequence[Step] = STEPS

    def run(self, request: BuildRequest, emit: Emit) -> BuildResult:
        """Build what is asked for; see ``Builder.run``. The root is /mnt/efs, where the file system is mounted, or below."""
        began = time.monotonic()

        def tell(message: str) -> None:
            emit(Event(step="launch", state="progress", message=message))

        settings, root = self.settings.complete(), check_root(request.root)
        emit(Event(step="launch", state="started", message="looking at the file system and its network"))
        aws = open_session(self.settings.region, self.settings.profile)
        target = Target.parse(request.target)
        site = preflight(aws, settings, target)
        for warning in site.warnings:
            emit(Event(step="launch", state="warning", message=warning))
        launch = Launch(
            aws,
            settings,
            target,
            root,
            site,
            self._record(aws, request, site.identity.account),
            CleanUp(),
            tell,
            self.timeouts,
        )
        try:
            result = self._build(launch, request, emit, began)
        except BaseException as error:
            if self.settings.keep_on_failure and launch.seen is not None and not isinstance(error, CancelledError):
                _keep(launch, emit)
                raise
            left = _clean_up(launch, emit)
            if left and isinstance(error, EfsprovError):
                raise type(error)(f"{error.message}\n{_reported(left)}", hint=error.hint) from error
            raise
        if left := _clean_up(launch, emit):
            raise BuilderError(
                f"Release {result.release} was published, but not all of its builder is gone. {_reported(left)}",
                hint=_REAP,
            )
        return result

    def inspect(self, request: BuildRequest) -> tuple[str, ...]:
        """Say where the builder would be launched, and how; changes nothing. Raises as ``preflight`` does."""
        settings, root, target = self.settings.complete(), check_root(request.root), Target.parse(request.target)
        aws = open_session(settings.region, settings.profile)
        site = preflight(aws, settings, target)
        ingress = site.ingress.block or site.ingress.group or "nobody"
        launch = (
            f"The builder would be a {'spot ' if settings.spot else ''}{site.candidates[0]} with {site.image.id}, "
            f"{settings.file_system} at {root}, SSH open to {ingress}; powered off after {settings.minutes} minutes at most."
        )
        others = ", ".join(map(str, site.candidates[1:]))
        return (launch, *([f"Without capacity there: {others}."] if others else ()), *site.warnings)

    def _build(self, launch: Launch, request: BuildRequest, emit: Emit, began: float) -> BuildResult:
        for step in self.steps:
            launch.tell(step.title)
            step.run(launch)
        there = request.model_copy(update={"root": launch.root, "builder": "ec2"})
        builder = SshBuilder(
            launch.ssh, self.program, environment=self.environment, seconds=launch.settings.minutes * 60, lease=LEASE
        )
        with Host(launch.ssh) as host:
            return builder.run_on(host, there, emit, began=began)

    def _record(self, aws: Aws, request: BuildRequest, account: str) -> RunRecord:
        now = datetime.now(UTC)
        return RunRecord(
            run=request.run,
            region=aws.region,
            account=account,
            profile=self.settings.profile,
            process=Process.own(),
            created=now,
            expires=expiry(now, self.settings.minutes),
        )


_REAP = "`efsprov reap` finds it, too; the instance powers itself off by its own timer."


def _clean_up(launch: Launch, emit: Emit) -> tuple[Leftover, ...]:
    """Undo what was made; what is left is reported, and its record stays for `efsprov reap`."""
    launch.tell("removing the builder")
    left = launch.undo.close()
    for leftover in left:
        emit(Event(step="launch", state="warning", message=str(leftover)))
    if not left:
        launch.record.remove()
    return left


def _reported(left: Sequence[Leftover]) -> str:
    return " ".join(map(str, left))


def _keep(launch: Launch, emit: Emit) -> None:
    """Leave everything as it is, for whoever wants to look; the timer for the whole run still ends it."""
    launch.record.kept = True
    launch.record.save()
    key = launch.record.write_key(launch.login.private)
    with contextlib.suppress(EfsprovError, OSError), Host(launch.ssh) as host:
        host.execute(["sh", "-c", f"echo keep > {shlex.quote(LEASE)}"])
    target = launch.ssh
    proxy = target.proxy_command.replace("%", "%%")  # ssh expands percent signs in it, see ssh_config(5)
    options = ["-o", f"ProxyCommand={proxy}"] if proxy else []
    command = shlex.join(
        ["ssh", "-i", os.fspath(key), "-p", str(target.port), *options, f"{target.user}@{target.host}"]
    )
    for message in (
        f"The instance {launch.instance.id} was kept: {command} (its host key: {target.host_key})",
        f"It powers itself off by {launch.record.expires:%H:%M} UTC; `efsprov reap --run {launch.record.run}` removes it before.",
    ):
        emit(Event(step="launch", state="warning", message=message))
