"""The options that the verbs of `efsprov model` share, and how they find the model."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from efsprov.cli.select import select_channel
from efsprov.core.errors import EfsprovError
from efsprov.store.layout import Channel

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="The model.")]
ModelRoot = Annotated[
    Path, typer.Option("--root", envvar="EFSPROV_ROOT", metavar="DIR", help="Where the file system is mounted.")
]
NoActivate = Annotated[bool, typer.Option("--no-activate", help="Publish the release, but leave `current` as it is.")]


@contextmanager
def chosen_model(root: Path, name: str, *, writing: bool = False) -> Iterator[Channel]:
    """Yield a model that exists. What the block raises speaks of models' commands instead of channels'."""
    with in_words_of_models(name):
        yield select_channel(root, name, kind="model", writing=writing)


@contextmanager
def in_words_of_models(name: str) -> Iterator[None]:
    """Let errors name the commands for model ``name``: they come from a store that knows channels only."""
    try:
        yield
    except EfsprovError as error:
        error.message, error.hint = (_in_words_of_models(text, name) for text in (error.message, error.hint))
        raise


def _in_words_of_models(text: str, name: str) -> str:
    text = text.replace("`efsprov sync --root DIR` makes DIR itself", f"`efsprov model push {name} SOURCE` makes it")
    text = text.replace("between them: --channel tensorflow.", "between them: resnet50.")
    text = re.sub(r"`efsprov sync[^`]*`", f"`efsprov model push {name} SOURCE`", text)
    text = re.sub(r"\b([Ss])ync again\b", lambda m: "Push again" if m[1] == "S" else "push again", text)
    text = re.sub(r"\b([Rr])un sync again\b", lambda m: f"{m[1]}un push again", text).replace("this sync", "this push")
    text = text.replace("`efsprov list`", "`efsprov model list`")
    verbs = "activate|rollback|verify|prune|history|show|mark-bad|mark-good|pin|unpin"
    text = re.sub(rf"`efsprov ({verbs})\b", rf"`efsprov model \1 {name}", text)
    return re.sub(r"There is no channel (model )?", "There is no model ", text)
