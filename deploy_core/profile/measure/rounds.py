"""Times contenders in rounds: each round runs every contender once, in a new order, until the ratios are precise."""

from __future__ import annotations

import gc
import logging
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from deploy_core.profile.intervals import LEAST_ROUNDS, MOST_ROUNDS, estimates
from deploy_core.types import Event, Progress, silent

log = logging.getLogger(__name__)

WARMUP_ROUNDS = 3
# A share of the measuring time, added to it. The warm-up ends with the round that uses it up.
WARMUP_SHARE = 0.25
# Tells the medians after each of these first rounds, then whenever it computes the intervals.
FIRST_LOOKS = 3
# The intervals are computed again after this many times as many rounds, because that takes time too.
GROWTH = 1.3
ORDER_SEED = 0
# Decimal places of milliseconds; a clock read from Python is no more precise.
DIGITS = 4


@dataclass(frozen=True)
class Until:
    """When to stop: after ``rounds`` rounds if set.

    Otherwise when each ratio's 95 % interval is within plus or minus ``bound`` (a share of the ratio), after
    ``seconds``, or after ``MOST_ROUNDS`` rounds, whichever comes first.
    """

    bound: float
    seconds: float
    rounds: int | None = None


@dataclass(frozen=True)
class Rounds:
    """The result of timing in rounds.

    - ``samples``: the milliseconds of each contender, round by round
    - ``failed``: the contenders that were excluded, with the reason
    - ``settled``: whether all ratios reached the bound
    """

    samples: dict[str, tuple[float, ...]]
    failed: dict[str, str]
    settled: bool


def time_in_rounds(
    contenders: Mapping[str, Callable[[], object]],
    until: Until,
    progress: Progress = silent,
    clock: Callable[[], float] = time.perf_counter,
    announce: Callable[[str], object] = lambda _: None,
) -> Rounds:
    """Times the contenders. The others are compared with the first.

    ``clock`` returns seconds. ``announce`` is called with the name of each contender before it runs. A contender that
    raises is excluded, with the reason in ``failed``. Raises what the first one raises, because nothing is left to
    compare with.
    """
    runners = dict(contenders)
    failed: dict[str, str] = {}
    first = next(iter(runners))
    samples: dict[str, list[float]] = {name: [] for name in runners}
    # The previous run decides what is in the caches, so no contender always follows the same one.
    order, shuffle = list(runners), random.Random(ORDER_SEED).shuffle  # noqa: S311

    def run_each() -> dict[str, float]:
        elapsed: dict[str, float] = {}
        shuffle(order)
        for name in tuple(order):
            announce(name)
            try:
                elapsed[name] = _timed(runners[name], clock)
            except Exception as error:
                if name == first:
                    raise
                log.exception("%s failed in mid-run", name)
                failed[name] = f"It failed while it was measured ({type(error).__name__}). Build it again."
                order.remove(name)
                del samples[name]
        return elapsed

    with _no_garbage_collection():
        _warm_up(run_each, until, progress, clock)
        started = clock()
        done, look_at, settled = 0, LEAST_ROUNDS, False

        def is_over() -> bool:
            if until.rounds is not None:
                return done >= until.rounds
            return settled or clock() - started >= until.seconds or done >= MOST_ROUNDS

        while done < 1 or not is_over():
            for name, elapsed in run_each().items():
                samples[name].append(elapsed)
            done += 1
            is_looked_at = done <= FIRST_LOOKS or done == look_at
            known = {name: statistics.median(times) for name, times in samples.items()} if is_looked_at else {}
            progress(replace(_event(done, until, clock() - started), medians=known))
            if done == look_at:
                settled = _are_precise(samples, until.bound)
                look_at = int(done * GROWTH) + 1
    settled = _are_precise(samples, until.bound)
    return Rounds({name: tuple(times) for name, times in samples.items()}, failed, settled)


def _warm_up(run_each: Callable[[], object], until: Until, progress: Progress, clock: Callable[[], float]) -> None:
    started = clock()
    for _ in range(WARMUP_ROUNDS):
        progress(Event("Warming up", 0.0))
        run_each()
        if clock() - started >= until.seconds * WARMUP_SHARE:
            return


def _are_precise(samples: Mapping[str, list[float]], bound: float) -> bool:
    return all(estimate.half_width <= bound for estimate in estimates(samples).values())


def _timed(run: Callable[[], object], clock: Callable[[], float]) -> float:
    started = clock()
    run()
    return round((clock() - started) * 1000, DIGITS)


def _event(done: int, until: Until, seconds: float) -> Event:
    if until.rounds is not None:
        return Event(f"Measuring round {done} of {until.rounds}", min(1.0, done / until.rounds))
    return Event(f"Measuring round {done}", min(1.0, seconds / until.seconds))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
