"""What speaks against a run."""

from __future__ import annotations

import dataclasses

import pytest

from deploy_core import embedded
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.saved import read_record
from deploy_core.profile.verdict import trust


@pytest.fixture
def run() -> Record:
    shipped = read_record(embedded.SAVED_PROFILE)
    return dataclasses.replace(shipped, others_load=0.0, repeats=100)


def test_a_long_quiet_run_of_these_files_has_no_weakness(run: Record) -> None:
    assert trust.weaknesses(run, {row.format: row.sha256 for row in run.rows}) == ()
    assert trust.weaknesses(run, {}) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"others_load": 0.84}, "The machine was busy: other work took 84 % of its processors"),
        ({"repeats": 6}, "too short: 6 rounds of at least 12"),
    ],
)
def test_a_busy_or_short_run_is_doubtful(run: Record, changes: dict[str, float], words: str) -> None:
    (weakness,) = trust.weaknesses(dataclasses.replace(run, **changes), {})  # type: ignore[arg-type]
    assert words in weakness


def test_a_run_of_other_files_is_doubtful(run: Record) -> None:
    (weakness,) = trust.weaknesses(run, {run.rows[1].format: "another"})
    assert weakness.startswith("1 file changed since")
