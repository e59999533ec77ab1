"""Importing this puts the current release of a channel on ``sys.path`` and keeps to it until the process ends.

    import efsprov.bootstrap
    import tensorflow

The environment says what: EFSPROV_ROOT, EFSPROV_CHANNEL (several with commas between), EFSPROV_RELEASE (pins),
EFSPROV_TARGET. `BootstrapError` is raised where that names nothing usable. Imports are answered from the release's index
where it has one for this interpreter; EFSPROV_ACCEL=0 switches that off. Interpreters that the process starts find the
releases by PYTHONPATH; EFSPROV_CHILDREN=0 leaves that as it is. Never writes, needs no network and only the
standard library of CPython 3.9 to 3.14.
"""

import os
import sys
from _frozen_importlib_external import PathFinder

from efsprov.bootstrap._finder import Accelerator
from efsprov.bootstrap._index import tell
from efsprov.bootstrap._pin import (
    BootstrapError,
    Release,
    channels_of,
    pin_channel,
    pin_model,
    pins_of,
    root_of,
    targets_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BootstrapError", "Release", "model", "releases"]

_root = root_of(os.environ)
_channels = channels_of(os.environ, _root)
_pins = pins_of(os.environ, _channels)
_models: "dict[str, str]" = {}


def model(name: str) -> str:
    """Directory of the current release of model NAME; the same for the life of the process.

    >>> weights = efsprov.bootstrap.model("resnet50") + "/model.safetensors"  # doctest: +SKIP
    """
    if name not in _models:
        _models.setdefault(name, pin_model(_root, name, _pins.get(f"models/{name}")))  # atomic: one thread's find wins
    return _models[name]


def _pin_all() -> "Mapping[str, Release]":
    targets = targets_of(os.environ) if _channels else ()
    return type(vars(type))({name: pin_channel(_root, name, targets, _pins.get(name)) for name in _channels})


def _put_on_path() -> None:
    """Insert the releases' folders after the program's own folder and before everything else.

    What the handler brings wins over a release; a release wins over what a Lambda runtime and its layers bundle
    (/var/runtime has a boto3 of its own), because it was proven to import with nothing else on the path.
    """
    task_root = os.environ.get("LAMBDA_TASK_ROOT")
    if task_root in sys.path:
        at = sys.path.index(task_root) + 1
    else:
        # Without -I and -P, sys.path[0] is the script's or the current directory (documentation of sys.path).
        at = 0 if sys.flags.isolated or getattr(sys.flags, "safe_path", False) else min(1, len(sys.path))
    missing = [release.site for release in releases.values() if release.site not in sys.path]
    sys.path[at:at] = missing


def _hand_on() -> None:
    """Let interpreters that this process starts find the same releases: joblib's workers, `python -m` by subprocess.

    They know nothing of this process but its environment (documentation of PYTHONPATH). EFSPROV_CHILDREN=0 leaves it alone.
    """
    if os.environ.get("EFSPROV_CHILDREN") == "0" or not releases:
        return
    sites = [release.site for release in releases.values()]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sites]
    os.environ["PYTHONPATH"] = os.pathsep.join(sites + others)


def _accelerate(release: Release) -> None:
    """Have imports from RELEASE answered from its index; that costs nothing until the first of them."""
    if os.environ.get("EFSPROV_ACCEL") == "0":
        tell(f"{release.path} is imported without its index: EFSPROV_ACCEL=0")
        return
    accelerator = Accelerator(release.path)
    if not any(getattr(hook, "__self__", None) == accelerator for hook in sys.path_hooks):
        sys.path_hooks.insert(0, accelerator.hook)
        at = next((i for i, finder in enumerate(sys.meta_path) if finder is PathFinder), len(sys.meta_path))
        sys.meta_path.insert(at, accelerator)
        for path in [
            path for path in sys.path_importer_cache if path == release.site or path.startswith(release.site + "/")
        ]:
            del sys.path_importer_cache[path]


releases: "Mapping[str, Release]" = _pin_all()
"""What was pinned: {channel: `Release`}, in the order in which they are on ``sys.path``."""

_put_on_path()
_hand_on()
for _release in releases.values():
    _accelerate(_release)
