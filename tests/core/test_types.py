"""The values that the shapes compute from their fields."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy_core import embedded
from deploy_core.inference.file_answers import Probability
from deploy_core.profile.record.saved import read_record
from deploy_core.types import Artifact, Milliseconds, Seconds
from tests import proofs

ARTIFACT = Artifact("scripted", "demo.pt", 300, "0" * 64, Seconds(1.0, 0.1, 1.0), proofs.SAME, False, None, ())
ROW = read_record(embedded.SAVED_PROFILE).rows[1]


def test_the_time_of_a_classification_is_the_sum_of_its_parts() -> None:
    assert Milliseconds(1.0, 2.0, 4.0).total == 7.0


def test_only_flips_where_the_original_was_decided_are_disagreements() -> None:
    assert proofs.proof(pictures=200, flips=6, decided_flips=2).agreement == 0.99


def test_a_quarter_of_the_size_is_three_quarters_less() -> None:
    assert ARTIFACT.size_change(replace(ARTIFACT, bytes=1200)) == -0.75


def test_a_probability_is_compared_with_the_originals() -> None:
    probability = Probability(0, "cat", 0.5, 0.75)
    assert probability.change == 0.25


def test_the_interval_of_a_reduction_is_that_of_the_ratio_turned_round() -> None:
    low, high = replace(ROW, ratio_interval=(0.4, 0.5)).reduction_interval_percent or (0.0, 0.0)
    assert (low, high) == pytest.approx((50.0, 60.0))
    assert replace(ROW, ratio_interval=None).reduction_interval_percent is None


def test_a_file_adds_the_memory_beyond_its_runtime() -> None:
    assert replace(ROW, peak_bytes=500, runtime_bytes=300).added_bytes == 200
