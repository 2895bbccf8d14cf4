"""A clock that tests set."""

from __future__ import annotations

import random
from collections.abc import Callable

Contenders = dict[str, Callable[[], object]]


class Clock:
    """A clock that moves only during work; ``jitter`` is the random part of a call, ``drift`` that of a round."""

    def __init__(self, jitter: float = 0.05, drift: float = 0.2, seed: int = 7) -> None:
        self.now, self.calls = 0.0, 0
        self.random, self.jitter, self.drift = random.Random(seed), jitter, drift
        self.weather = 1.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.calls += 1
            if self.calls % 20 == 0:
                self.weather = 1 + self.drift * self.random.random()
            self.now += seconds * self.weather * self.random.lognormvariate(0, self.jitter)

        return run


def contenders(clock: Clock, **milliseconds: float) -> Contenders:
    return {name: clock.work(duration / 1000) for name, duration in milliseconds.items()}
