"""How many files to have under way at once: a limit that looks for the knee of the throughput by itself."""

from dataclasses import dataclass, field
from typing import Final

_STEP: Final = 1.5
_BETTER: Final = 1.1  # a probe has to be better than the limit as it was by this much: throughput is noisy
_HOLD: Final = 8  # observations between two probes


@dataclass
class Concurrency:
    """A limit between ``low`` and ``high`` that starts at ``high`` and is probed now and then, down and up in turn.

    It starts there because too many cost little and too few cost much, and because throughput grows by itself at first,
    whatever is tried. The knee moves: a server slows down, a slow folder follows fast ones. So a probe is held against
    the throughput both before and after it, under the limit as it was.
    """

    low: int = 4
    high: int = 64
    limit: int = field(init=False)
    _settled: int = field(init=False)
    _up: bool = field(init=False, default=False)
    _rates: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.limit = self._settled = self.high

    def observe(self, rate: float, *, starved: bool = False) -> int:
        """Take the throughput since the last call, in files a second, and return the limit from now on.

        ``starved`` says that there was not enough work for the limit: such an observation shows nothing about it.
        """
        if starved:
            self._rates.clear()
            self.limit = self._settled
            return self.limit
        self._rates.append(rate)
        seen = len(self._rates)
        if seen == _HOLD:  # which is the observation before the probe
            self.limit = self._probed
        elif seen == _HOLD + 1:
            self.limit = self._settled
        elif seen == _HOLD + 2:
            self._judge()
            self._rates.clear()
        return self.limit

    @property
    def _probed(self) -> int:
        return min(self.high, max(self.low, round(self._settled * (_STEP if self._up else 1 / _STEP))))

    def _judge(self) -> None:
        before, probe, after = (self._rates[i] for i in range(_HOLD - 1, _HOLD + 2))
        # More than needed costs little and fewer cost much, so it has to be surer of these.
        bar = (before + after) / 2 if self._up else max(before, after)
        if probe > bar * _BETTER:
            self.limit = self._settled = self._probed
        else:
            self._up = not self._up
        if self._settled in {self.low, self.high}:  # there is one way to go from here
            self._up = self._settled == self.low < self.high
