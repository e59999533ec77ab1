"""How many files to have under way at once: a limit that looks for the knee of the throughput by itself."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

_DOUBLING_PAYS: Final = 1.15  # twice the limit has to bring this much, or it only makes queues
_STEP: Final = 1.5
_BETTER: Final = 1.1  # a probe has to be better than before and after it by this much: throughput is noisy
_HOLD: Final = 8  # observations between two probes


@dataclass
class Concurrency:
    """A limit between ``low`` and ``high``: doubled while that pays, then probed now and then, up and down in turn.

    One that starts at ``high`` is only probed: throughput grows by itself at first, whatever is tried. The knee moves: a
    server slows down, a slow folder follows fast ones. So a probe is held against the throughput both before and after
    it, under the limit as it was.
    """

    limit: int = 16
    low: int = 4
    high: int = 64
    _started: bool = False
    _settled: int = 0
    _up: bool = True
    _rates: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Leave out the climb where there is none."""
        if self.limit >= self.high:
            self._settled = self.limit

    def observe(self, rate: float, *, starved: bool = False) -> int:
        """Take the throughput since the last call, in files a second, and return the limit from now on.

        ``starved`` says that there was not enough work for the limit: such an observation shows nothing about it.
        """
        if starved:
            self._rates.clear()
            self.limit = self._settled or self.limit
        elif not self._started:
            self._started = True  # the first folders come one after another
        elif not self._settled:
            self._climb(rate)
        else:
            self._rates.append(rate)
            self._probe()
        return self.limit

    def _climb(self, rate: float) -> None:
        before = self._rates.pop() if self._rates else 0.0
        if rate < before * _DOUBLING_PAYS:
            self.limit = self._settled = self._bounded(self.limit / 2)
        elif self.limit == self.high:
            self._settled = self.limit
        else:
            self._rates.append(rate)
            self.limit = self._bounded(self.limit * 2)

    def _bounded(self, limit: float) -> int:
        return min(self.high, max(self.low, round(limit)))

    def _probe(self) -> None:
        """Hold for a while (the last observation is that before the probe), probe, go back, and judge."""
        seen = len(self._rates)
        if seen == _HOLD:
            factor = _STEP if self._up else 1 / _STEP
            self.limit = self._bounded(self._settled * factor)
        elif seen == _HOLD + 1:
            self.limit = self._settled
        elif seen == _HOLD + 2:
            before, probe, after = (self._rates[i] for i in range(_HOLD - 1, _HOLD + 2))
            # More than needed costs little and fewer cost much, so it has to be surer of these.
            bar = (before + after) / 2 if self._up else max(before, after)
            if probe > bar * _BETTER:
                factor = _STEP if self._up else 1 / _STEP
                self.limit = self._settled = self._bounded(self._settled * factor)
            else:
                self._up = not self._up
            self._rates.clear()
