"""Puts garbage collection off while a module is imported.

An import makes objects and hardly any garbage, but whenever there are a quarter more of them CPython looks at all there are
(`long_lived_pending` in gcmodule.c). For TensorFlow that is a fifth of an import from a warm disk.
"""

import _thread
import gc
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

PATIENCE = 2_000_000  # new objects after which there is a collection all the same
WORTH_MOVING = 10_000
FROZEN_BY_PYTHON = 1_000  # CPython 3.12 starts with a few hundred objects in the permanent generation

_usual = gc.get_threshold()
_thread_of_import = 0


class Postponed:
    """As long as this object lives, collections are rare."""

    def __del__(self) -> None:
        _resume()


def postpone() -> "Optional[Postponed]":
    """What puts collections off while it lives; None where they are put off already, or there are none."""
    global _usual, _thread_of_import
    thresholds = gc.get_threshold()
    if not gc.isenabled() or not 0 < thresholds[0] < PATIENCE:
        return None
    _usual, _thread_of_import = thresholds, _thread.get_ident()
    gc.set_threshold(PATIENCE, *thresholds[1:])
    return Postponed()


def _resume() -> None:
    if gc.get_threshold() != (PATIENCE, *_usual[1:]):
        return  # the program has set others meanwhile, and has the last word
    if gc.get_count()[0] > WORTH_MOVING and gc.get_freeze_count() < FROZEN_BY_PYTHON:
        # What is new counts as old at once: to look at all of it again would find nothing.
        gc.freeze()
        gc.unfreeze()
    gc.set_threshold(*_usual)


def _after_fork() -> None:
    if _thread_of_import != _thread.get_ident():  # the thread that imports is not in the child
        _resume()


os.register_at_fork(after_in_child=_after_fork)
