"""The samples that a model is calibrated with and compared on: {input's name: array of samples}."""

from typing import Any

import numpy as np

from efsprov.models.in_release.problems import ProblemError

Inputs = dict[str, tuple[list[Any], Any]]
"""{name: (shape of one batch, None where it is open; type)}"""

RANDOM_SAMPLES = 32
SEED = 20_261_121


def read_samples(path: str, inputs: Inputs) -> dict[str, Any]:
    """Read `.npy` (for the only input) or `.npz` (an array for each input).

    Pickled objects are refused.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ProblemError(f"{path} cannot be read: {error}") from error
    if isinstance(loaded, np.ndarray):
        arrays = {"": loaded}
    else:
        try:
            arrays = {name: loaded[name] for name in loaded.files}
        except ValueError as error:
            raise ProblemError(f"{path} cannot be read: {error}") from error
    if len(inputs) == 1 and len(arrays) == 1:
        arrays = {next(iter(inputs)): next(iter(arrays.values()))}
    missing = sorted(set(inputs) - set(arrays))
    if missing:
        raise ProblemError(
            f"{path} has no samples for the inputs {', '.join(missing)}; it has {', '.join(sorted(arrays)) or 'none'}"
        )
    counts = {len(arrays[name]) if arrays[name].ndim else 0 for name in inputs}
    if len(counts) != 1 or 0 in counts:
        raise ProblemError(f"{path} must have the same number of samples for each input, and at least one")
    return {name: fit(path, name, arrays[name], *inputs[name]) for name in inputs}


def fit(path: str, name: str, array: Any, shape: list[Any], dtype: Any) -> Any:
    """Check that each sample is of the input's shape, and give it the input's type."""
    wanted = list(shape[1:])
    found = list(array.shape[1:])
    if len(wanted) != len(found) or any(w is not None and w != found[n] for n, w in enumerate(wanted)):
        raise ProblemError(f"{path}: samples for {name} are of shape {found}, the model takes {wanted}")
    return array.astype(dtype, copy=False)


def random_samples(inputs: Inputs) -> dict[str, Any]:
    """Make samples up; the same ones every time."""
    generator = np.random.default_rng(SEED)
    made = {}
    for name, (shape, dtype) in inputs.items():
        if any(size is None for size in shape[1:]):
            raise ProblemError(
                f"input {name} is of the open shape {list(shape)}: samples cannot be made up, give some with --representative"
            )
        size = (RANDOM_SAMPLES, *shape[1:])
        values = generator.random(size) if np.issubdtype(dtype, np.floating) else generator.integers(0, 2, size)
        made[name] = values.astype(dtype)
    return made


def one(samples: dict[str, Any], index: int) -> dict[str, Any]:
    """Sample number ``index`` as a batch of one."""
    return {name: array[index : index + 1] for name, array in samples.items()}


def count(samples: dict[str, Any]) -> int:
    """How many samples there are."""
    return len(next(iter(samples.values())))
