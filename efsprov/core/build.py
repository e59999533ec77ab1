"""What a builder is asked, and what it answers: the one JSON request and the one JSON result."""

from typing import Literal

from pydantic import Field

from efsprov.core.filelist import digest
from efsprov.core.frozen import Exact
from efsprov.core.lock import parse_lock
from efsprov.core.manifest import Figures, Smoke

BuilderName = Literal["local", "ssh", "ec2", "lambda"]
"""Where a release can be built; `cli/choose_builder.py` has what makes each."""


class BuildRequest(Exact):
    """Everything that the pipeline needs where the root is mounted.

    ``run`` is the run's id and the release's transaction id: a request that arrives twice makes one release.
    ``root`` is the root's path on the builder, ``target`` a target's name, ``lock`` the text of a `pylock.toml`;
    ``requested`` are the distributions in it that ``requirements`` name.
    """

    run: str = Field(min_length=8, max_length=64)
    root: str
    channel: str
    target: str
    requirements: tuple[str, ...]
    requested: tuple[str, ...] = ()
    lock: str
    imports: tuple[str, ...] = ()
    slim: tuple[str, ...] = ()
    allow_sdists: bool = False
    installer: Literal["uv", "pip"] = "uv"
    builder: str = "local"
    activate: bool = True
    wait: bool = True
    again: bool = False
    notes: tuple[str, ...] = ()

    @property
    def lock_digest(self) -> str:
        """What makes two builds the same: the lock, and whatever else changes a release's files; SHA-256 in hex."""
        locked = parse_lock(self.lock).digest
        request = [*(f"slim {rule}" for rule in sorted(self.slim)), *(f"import {name}" for name in self.imports)]
        return digest("\n".join([locked, *request])) if request else locked


class BuildResult(Exact):
    """``outcome``: a release was made, the current one is the same already, or a published one was made current."""

    outcome: Literal["published", "unchanged", "reactivated"]
    release: str
    path: str
    activated: bool
    before: str | None = None
    smoke: Smoke = Smoke()
    figures: Figures = Figures()
