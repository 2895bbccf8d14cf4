"""How long a profile takes, as its button says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy_core import embedded
from deploy_core.models.catalogue import MODELS
from deploy_core.profile.measure.plan import EXTRA_SECONDS, inference_seconds, pace_of, plan
from deploy_core.profile.record.saved import read_record
from deploy_core.profile.words import about

TINY = inference_seconds(MODELS["deit_tiny_patch16_224"])


@pytest.mark.parametrize("seconds", [10, 30, 120])
def test_nine_files_of_a_small_model_take_the_time_to_measure_and_half_a_minute(seconds: float) -> None:
    found = plan(9, TINY, seconds, 2, is_latency_only=False)
    assert seconds <= found.total <= seconds + EXTRA_SECONDS + 1e-6
    assert found.rounds + found.further >= seconds / 2
    assert found.alone > 9


def test_latency_only_leaves_out_what_needs_a_process_for_each_file() -> None:
    found = plan(9, TINY, 30, 2, is_latency_only=True)
    assert found.alone == 0
    assert found.rounds > plan(9, TINY, 30, 2, is_latency_only=False).rounds
    assert found.total < 30 + 10


def test_a_larger_model_and_more_files_take_longer() -> None:
    base = inference_seconds(MODELS["deit_base_patch16_224"])
    assert 0.2 < base < 0.4
    assert plan(9, base, 30, 2, is_latency_only=False).total > 100
    assert plan(18, TINY, 30, 2, is_latency_only=False).total > plan(9, TINY, 30, 2, is_latency_only=False).total


@pytest.mark.parametrize(("times", "pace"), [(2, 2.0), (100, 4.0), (0.01, 0.5), (None, 1.0)])
def test_a_past_run_says_how_fast_this_machine_is(times: float | None, pace: float) -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    planned = plan(len(saved.rows), TINY, 120, 2, is_latency_only=False).total
    past = replace(saved, budget_seconds=120, took_seconds=times and times * planned)
    assert pace_of(past, TINY) == pytest.approx(pace)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "about 10 seconds"),
        (44, "about 40 seconds"),
        (94, "about 90 seconds"),
        (100, "about 1.5 minutes"),
        (175, "about 3 minutes"),
    ],
)
def test_a_duration_is_rounded_to_what_is_known(seconds: float, words: str) -> None:
    assert about(seconds) == words
