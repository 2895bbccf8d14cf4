"""The timing in rounds with a test clock: planted differences are found, and equal times are called equal."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable

import pytest

from deploy_core.profile.intervals import LEAST_ROUNDS, estimates, ratio_of_medians
from deploy_core.profile.measure.rounds import WARMUP_ROUNDS, WARMUP_SHARE, Until, time_in_rounds
from deploy_core.types import Event
from tests.core.profile.clock import Clock, contenders


def test_a_planted_slowdown_is_found_and_a_planted_tie_is_a_tie() -> None:
    clock = Clock()
    runs = contenders(clock, original=100, twin=100, slow=110)
    found = time_in_rounds(runs, Until(bound=0.01, seconds=600), clock=clock)
    assert found.settled
    ratios = {name: estimate.ratio_interval for name, estimate in estimates(found.samples).items()}
    assert ratios["twin"]
    assert ratios["slow"]
    assert ratios["twin"][0] <= 1 <= ratios["twin"][1]
    assert 1 < ratios["slow"][0] <= 1.10 <= ratios["slow"][1]


def test_it_goes_on_until_the_ratios_are_known() -> None:
    rounds = {}
    for bound in (0.05, 0.01):
        clock = Clock()
        found = time_in_rounds(contenders(clock, original=100, other=50), Until(bound, 600), clock=clock)
        assert found.settled
        assert all(estimate.half_width <= bound for estimate in estimates(found.samples).values())
        rounds[bound] = len(found.samples["original"])
    assert LEAST_ROUNDS <= rounds[0.05] < rounds[0.01]


def test_a_spent_budget_ends_it_unsettled() -> None:
    clock = Clock(jitter=0.5)
    found = time_in_rounds(contenders(clock, original=100, other=100), Until(0.001, 5), clock=clock)
    assert not found.settled
    # The warm-up is added to the time.
    assert 5 <= clock.now < 7
    assert sum(sum(samples) for samples in found.samples.values()) >= 5000


def test_the_warm_up_takes_nothing_of_the_budget_and_ends_in_time() -> None:
    clock = Clock(jitter=0, drift=0)
    found = time_in_rounds(contenders(clock, original=1000, other=1000), Until(0.001, 4), clock=clock)
    assert len(found.samples["original"]) == 2
    # One round of two seconds is more than a quarter of four.
    assert clock.now == pytest.approx(2 + 4)
    assert WARMUP_SHARE * 4 < 2


def test_a_budget_too_short_for_one_round_still_gives_one() -> None:
    clock = Clock()
    found = time_in_rounds(contenders(clock, original=1000, other=1000), Until(0.03, 0.1), clock=clock)
    assert {name: len(samples) for name, samples in found.samples.items()} == {"original": 1, "other": 1}
    assert not found.settled


def test_few_rounds_never_count_as_known() -> None:
    clock = Clock(jitter=0, drift=0)
    few = time_in_rounds(contenders(clock, original=10, other=10), Until(0.03, 600, LEAST_ROUNDS - 1), clock=clock)
    assert {estimate.ratio_interval for estimate in estimates(few.samples).values()} == {None}
    assert ratio_of_medians(*few.samples.values())[1] is None
    enough = time_in_rounds(contenders(clock, original=10, other=10), Until(0.03, 600, LEAST_ROUNDS), clock=clock)
    assert (few.settled, enough.settled) == (False, True)


def test_rounds_can_be_counted_instead() -> None:
    clock, events = Clock(), list[Event]()
    found = time_in_rounds(contenders(clock, original=1), Until(0.03, 600, rounds=5), events.append, clock)
    assert len(found.samples["original"]) == 5
    assert clock.calls == 5 + WARMUP_ROUNDS
    assert events[-1] == Event("Measuring round 5 of 5", 1.0)


def test_the_medians_so_far_are_told_after_the_first_rounds_and_then_less_often() -> None:
    clock, events = Clock(jitter=0, drift=0), list[Event]()
    runs = contenders(clock, original=10, other=20)
    time_in_rounds(runs, Until(0.03, 600, rounds=LEAST_ROUNDS), events.append, clock)
    known = {event.message: event.medians for event in events if event.medians}
    assert list(known) == [f"Measuring round {number} of {LEAST_ROUNDS}" for number in (1, 2, 3, LEAST_ROUNDS)]
    assert known["Measuring round 3 of 12"] == pytest.approx({"original": 10, "other": 20})


def test_each_round_asks_everybody_once_in_a_new_order() -> None:
    clock, asked = Clock(), list[str]()

    def noted(name: str) -> Callable[[], None]:
        def run() -> None:
            assert not gc.isenabled()
            asked.append(name)
            clock.now += 0.001

        return run

    time_in_rounds({name: noted(name) for name in "abc"}, Until(0.03, 600, rounds=20), clock=clock)
    assert gc.isenabled()
    turns = ["".join(asked[start : start + 3]) for start in range(0, len(asked), 3)]
    assert all(sorted(turn) == list("abc") for turn in turns)
    assert len(set(turns)) == 6


def test_whose_turn_comes_is_announced() -> None:
    clock, announced = Clock(), list[str]()

    def breaks() -> None:
        assert announced[-1] == "bad"
        raise RuntimeError("out of luck")

    time_in_rounds(
        contenders(clock, original=10) | {"bad": breaks}, Until(0.03, 9, 2), clock=clock, announce=announced.append
    )
    assert announced.count("bad") == 1
    assert announced.count("original") == 2 + WARMUP_ROUNDS


def test_a_contender_that_fails_in_mid_run_is_excluded_and_the_others_stay() -> None:
    clock = Clock()
    runs = contenders(clock, original=10, good=10)
    calls = iter(range(100))

    def breaks() -> None:
        if next(calls) == WARMUP_ROUNDS + 2:
            raise RuntimeError("out of luck")

    found = time_in_rounds(runs | {"bad": breaks}, Until(0.03, 600, rounds=6), clock=clock)
    assert found.failed == {"bad": "It failed while it was measured (RuntimeError). Build it again."}
    assert {name: len(samples) for name, samples in found.samples.items()} == {"original": 6, "good": 6}


def test_nothing_is_left_to_compare_with_where_the_first_fails() -> None:
    clock = Clock()

    def breaks() -> None:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        time_in_rounds({"original": breaks} | contenders(clock, other=10), Until(0.03, 600), clock=clock)
    assert gc.isenabled()


def test_drift_that_hits_all_alike_cancels_out_of_the_ratio() -> None:
    noise = random.Random(1)
    weather = [noise.uniform(1, 3) for _ in range(60)]
    samples = {
        "original": [100 * now * noise.lognormvariate(0, 0.01) for now in weather],
        "other": [50 * now * noise.lognormvariate(0, 0.01) for now in weather],
    }
    found = estimates(samples)["other"]
    assert found.ratio == pytest.approx(0.5, rel=0.02)
    assert found.half_width < 0.03
    apart = ratio_of_medians(samples["original"], samples["other"])[1]
    assert apart
    assert found.ratio_interval
    assert apart[1] - apart[0] > 5 * (found.ratio_interval[1] - found.ratio_interval[0])
