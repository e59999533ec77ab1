"""Carries out what was decided about leftovers, looking once more at each before it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from efsprov.aws import keys, network
from efsprov.aws.identity import who_am_i
from efsprov.aws.session import Aws
from efsprov.aws.tagged import Tagged, find_tagged
from efsprov.aws.tagging import add_tags
from efsprov.builders.ec2.leftovers import Planned, plan_reaping
from efsprov.builders.ec2.run_record import RunRecord, read_records
from efsprov.builders.ec2.teardown import remove_instance
from efsprov.core.errors import BuilderError, EfsprovError
from efsprov.core.tags import MARKED, write_time

_TERMINATE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Reaping:
    """What to look for in a region: ``at_once`` and ``run`` as in ``leftovers.plan_reaping``."""

    aws: Aws
    clock: Callable[[], datetime]
    at_once: bool = False
    run: str | None = None

    def plan(self) -> tuple[Planned, ...]:
        """Say what there is, and what would be done about each; changes nothing."""
        records = {record.run: record for record in self._records()}
        return plan_reaping(find_tagged(self.aws), records, now=self.clock(), at_once=self.at_once, run=self.run)

    def execute(self, planned: Sequence[Planned], tell: Callable[[str], None]) -> tuple[Planned, ...]:
        """Do what was planned and return what was done.

        What the plan removes is looked up again and removed only if a plan of this moment still says so. Raises
        ``BuilderError`` in the end, naming what could not be removed and the commands that do it.
        """
        marked = [one for one in planned if one.action == "mark"]
        if marked:
            add_tags(self.aws, [one.resource.id for one in marked], {MARKED: write_time(self.clock())})
            tell(f"marked {len(marked)} for the next look")
        wanted = {one.resource.id for one in planned if one.action == "remove"}
        done, left = list(marked), []
        for one in self.plan() if wanted else ():
            if one.resource.id in wanted and one.action == "remove":
                tell(f"removing the {one.resource.kind} {one.resource.id} of run {one.resource.run}")
                try:
                    self._remove(one.resource)
                except EfsprovError as error:
                    left.append(
                        f"The {one.resource.kind} {one.resource.id} is left ({error.message}). Remove it with: {one.resource.command}"
                    )
                else:
                    done.append(one)
        self._forget_empty_runs()
        if left:
            raise BuilderError("\n".join(left), hint="Try again: `efsprov reap --now`.")
        return tuple(done)

    def _remove(self, resource: Tagged) -> None:
        if resource.kind == "instance":
            remove_instance(self.aws, resource.id, seconds=_TERMINATE_SECONDS)
        elif resource.kind == "security group":
            network.delete_group(self.aws, resource.id)
        else:
            keys.delete_key(self.aws, resource.name)

    def _forget_empty_runs(self) -> None:
        """Remove this machine's records of runs that have ended and of which nothing is left."""
        busy = {resource.run for resource in find_tagged(self.aws)}
        for record in self._records():
            if record.run not in busy and record.process.here and not record.process.alive:
                record.remove()

    def _records(self) -> tuple[RunRecord, ...]:
        account = who_am_i(self.aws).account
        return tuple(r for r in read_records() if (r.account, r.region) == (account, self.aws.region))
