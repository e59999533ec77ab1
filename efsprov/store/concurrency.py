"""How many files to have under way at once: a limit that looks for the knee of the throughput by itself."""

from dataclasses import dataclass
from typing import Final

_GAIN: Final = 1.08  # a larger limit has to bring this much, or it only makes queues
_LOSS: Final = 0.96  # a smaller limit that keeps this much is as good, and easier on server and memory
_HOLD: Final = 6  # observations between two probes
_SMOOTH: Final = 0.5


@dataclass
class Concurrency:
    """A limit between ``low`` and ``high``: doubled while that pays, then probed a quarter up and down.

    The knee moves: a server slows down, large files follow small ones. So the throughput that a probe is held against
    is that of the observations just before it.
    """

    limit: int = 16
    low: int = 2
    high: int = 128
    _base: float = 0.0
    _before: int = 0
    _climbing: bool = True
    _waited: int = 0
    _up: bool = True

    def observe(self, units: float, seconds: float, *, starved: bool) -> int:
        """Take ``units`` of work done in ``seconds`` under the limit as it was, and return the limit from now on.

        ``starved`` says that there was not enough work for the limit: such an observation shows nothing about it.
        """
        if seconds <= 0 or units <= 0:
            return self.limit
        rate = units / seconds
        if starved:
            if self._before and not self._climbing:
                self._settle(self._before, self._base)
        elif self._climbing:
            self._climb(rate)
        elif self._before:
            self._judge(rate)
        else:
            self._base += (rate - self._base) * _SMOOTH
            self._waited += 1
            if self._waited >= _HOLD:
                self._probe()
        return self.limit

    def _climb(self, rate: float) -> None:
        if rate < self._base * _GAIN:
            self._climbing = False
            self._settle(self._before, self._base)
            return
        self._base, self._before = rate, self.limit
        self.limit = min(self.high, self.limit * 2)
        if self.limit == self._before:
            self._climbing = False
            self._settle(self.limit, rate)

    def _probe(self) -> None:
        step = max(1, self.limit // 4)
        self._before = self.limit
        self.limit = min(self.high, self.limit + step) if self._up else max(self.low, self.limit - step)
        if self.limit == self._before:
            self._settle(self.limit, self._base)
            self._up = not self._up

    def _judge(self, rate: float) -> None:
        if rate >= self._base * (_GAIN if self._up else _LOSS):
            self._settle(self.limit, rate)
        else:
            self._settle(self._before, self._base)
            self._up = not self._up

    def _settle(self, limit: int, rate: float) -> None:
        self.limit, self._base, self._before, self._waited = limit, rate, 0, 0
