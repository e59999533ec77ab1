"""What an optimisation measured: sizes, answers and times of a model before and after."""

from typing import Literal

from efsprov.core.frozen import Frozen


class Measured(Frozen):
    """One of the two models. ``bytes`` of its files, ``gzip_bytes`` of them compressed (None where nothing was pruned:
    zeros show there only); times in milliseconds, on one thread.

    ``latency_ms`` is the median of one answer to one sample, ``latency_p90_ms`` its 90th percentile, ``load_ms`` the
    time from the file to a model that can answer. None where the release could not run it.
    """

    format: str
    bytes: int
    gzip_bytes: int | None = None
    load_ms: float | None = None
    latency_ms: float | None = None
    latency_p90_ms: float | None = None


class Comparison(Frozen):
    """The outputs of both models for the same ``samples``: those for calibration, others, or made-up ones.

    ``max_error`` and ``mean_error`` are of the absolute differences of all output numbers, ``scale`` is the mean
    absolute output before. ``top1_agreement`` is the share of samples with the same largest output, None where the
    output is not a list of classes.
    """

    data: Literal["representative", "evaluation", "random"]
    samples: int
    max_error: float
    mean_error: float
    scale: float
    top1_agreement: float | None = None


class Report(Frozen):
    """``left_out`` says why there is no comparison, where there is none. ``sparsity`` is the share of zeros in the
    weights that pruning reached, None where nothing was pruned.
    """

    before: Measured
    after: Measured
    comparison: Comparison | None = None
    left_out: str = ""
    sparsity: float | None = None

    @property
    def smaller(self) -> float:
        """How many times smaller the files became."""
        return self.before.bytes / max(self.after.bytes, 1)
