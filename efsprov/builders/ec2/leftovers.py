"""Decides what of the runs' resources is a leftover: one pure function that says for each why it stays or goes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from efsprov.aws.tagged import Tagged
from efsprov.builders.ec2.run_record import RunRecord
from efsprov.core.tags import EXPIRES, MARKED, read_time

Action = Literal["leave", "mark", "remove"]
GRACE: Final = timedelta(minutes=10)
"""Between the look that marks and the look that removes: time enough for a clock that is wrong to be noticed."""


@dataclass(frozen=True)
class Planned:
    """What is to become of a resource, and why."""

    resource: Tagged
    action: Action
    why: str


def plan_reaping(
    found: Iterable[Tagged],
    records: Mapping[str, RunRecord],
    *,
    now: datetime,
    at_once: bool = False,
    run: str | None = None,
) -> tuple[Planned, ...]:
    """Say what to do with each resource that carries efsprov's tags; those of one run, where ``run`` names it.

    ``records`` are this machine's, by run. What has expired, or whose orchestrator was on this machine and is gone,
    is marked, and removed by a later look; with ``at_once``, or when the run is named, it is removed now. A run that
    is at work, or that has not expired and may be at work elsewhere, is left alone.
    """
    chosen = (one for one in found if run in {None, one.run})
    return tuple(_planned(one, records.get(one.run), now, at_once=at_once, named=run is not None) for one in chosen)


def _planned(one: Tagged, record: RunRecord | None, now: datetime, *, at_once: bool, named: bool) -> Planned:
    expires, marked = read_time(one.tags.get(EXPIRES)), read_time(one.tags.get(MARKED))
    reason = _why_it_stays(expires, record, now, named=named)
    if expires is None or reason:
        return Planned(one, "leave", reason)
    if named:
        return Planned(one, "remove", "its run was named")
    why = f"expired at {expires:%Y-%m-%d %H:%M} UTC" if now >= expires else "its orchestrator on this machine is gone"
    if marked is None:
        return Planned(one, "remove" if at_once else "mark", why)
    if now - marked < GRACE and not at_once:
        return Planned(one, "leave", f"{why}; marked at {marked:%H:%M} UTC, removed from {marked + GRACE:%H:%M} UTC on")
    return Planned(one, "remove", f"{why}; marked at {marked:%Y-%m-%d %H:%M} UTC")


def _why_it_stays(expires: datetime | None, record: RunRecord | None, now: datetime, *, named: bool) -> str:
    if expires is None:
        return "its expiry is not one that efsprov wrote"
    ours = record is not None and record.process.here
    if record is not None and ours and record.process.alive:
        return f"its run is at work on this machine (process {record.process.pid})"
    abandoned = record is not None and ours and not record.kept
    if named or abandoned or now >= expires:
        return ""
    kept = "kept for debugging" if record is not None and record.kept else "its run may be at work"
    return f"{kept} until {expires:%Y-%m-%d %H:%M} UTC"
