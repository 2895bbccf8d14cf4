"""Time in turn: every round asks each contender once, in a new order, until the ratios are known well enough."""

from __future__ import annotations

import gc
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from deploy_core.profile.intervals import LEAST_ROUNDS, MOST_ROUNDS, estimates
from deploy_core.types import Event, Progress, silent

log = logging.getLogger(__name__)

WARMUP_ROUNDS = 3
# Of the time for measuring; warming up comes on top, and ends with the round in which that is spent.
WARMUP_SHARE = 0.25
# How many more rounds until the intervals are looked at again; looking costs time too.
GROWTH = 1.3
ORDER_SEED = 0
# Of milliseconds; a clock that is read from Python tells no more.
DIGITS = 4


@dataclass(frozen=True)
class Until:
    """When to stop: after ``rounds`` where set; else once each ratio's 95 % interval is within plus or minus ``bound``
    (a share of it) of the ratio, or ``seconds`` are spent, or ``MOST_ROUNDS`` done."""

    bound: float
    seconds: float
    rounds: int | None = None


@dataclass(frozen=True)
class Rounds:
    """``samples``: the milliseconds of each contender, round by round; ``failed``: why others dropped out.

    ``settled`` tells whether the bound was reached.
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
    """Times the contenders; the first is the one that the others are compared with.

    ``clock`` gives seconds, and ``announce`` is told whose turn comes. A contender that raises drops out, with its
    reason; where the first does, nothing is left to compare with and its exception goes on.
    """
    runners = dict(contenders)
    failed: dict[str, str] = {}
    first = next(iter(runners))
    samples: dict[str, list[float]] = {name: [] for name in runners}
    # What ran just before decides what lies in the caches, so no contender always follows the same one.
    order, shuffle = list(runners), random.Random(ORDER_SEED).shuffle  # noqa: S311

    def ask_each() -> dict[str, float]:
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
        _warm_up(ask_each, until, progress, clock)
        started = clock()
        done, look_at, settled = 0, LEAST_ROUNDS, False

        def is_over() -> bool:
            if until.rounds is not None:
                return done >= until.rounds
            return settled or clock() - started >= until.seconds or done >= MOST_ROUNDS

        while done < 1 or not is_over():
            for name, elapsed in ask_each().items():
                samples[name].append(elapsed)
            done += 1
            progress(_event(done, until, clock() - started))
            if done == look_at:
                settled = _are_known(samples, until.bound)
                look_at = int(done * GROWTH) + 1
    settled = _are_known(samples, until.bound)
    return Rounds({name: tuple(found) for name, found in samples.items()}, failed, settled)


def _warm_up(ask_each: Callable[[], object], until: Until, progress: Progress, clock: Callable[[], float]) -> None:
    started = clock()
    for _ in range(WARMUP_ROUNDS):
        progress(Event("Warming up", 0.0))
        ask_each()
        if clock() - started >= until.seconds * WARMUP_SHARE:
            return


def _are_known(samples: Mapping[str, list[float]], bound: float) -> bool:
    return all(found.half_width <= bound for found in estimates(samples).values())


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
