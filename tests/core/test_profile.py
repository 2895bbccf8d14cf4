from __future__ import annotations

import gc
import statistics
from pathlib import Path

import pytest
import torch

from deploy_core import build, embedded, profile
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.types import Event, ProfileReport, Progress, silent
from tests.conftest import WholeBuild

REPEATS = 4


@pytest.fixture(scope="module")
def folder(whole_build: WholeBuild) -> Path:
    return whole_build.folder


def profiled(folder: Path, repeats: int, threads: int | None = 1, progress: Progress = silent) -> ProfileReport:
    result = build.read_result(folder)
    paths = {artifact.format: folder / artifact.file for artifact in result.artifacts}
    return profile.profile(result, paths, Settings(), repeats, threads, progress)


@pytest.fixture(scope="module")
def measured(folder: Path) -> tuple[ProfileReport, list[Event]]:
    events: list[Event] = []
    return profiled(folder, REPEATS, 1, events.append), events


def test_every_artifact_has_a_row_and_the_original_is_the_first(measured: tuple[ProfileReport, list[Event]]) -> None:
    report, _ = measured
    assert [row.format for row in report.rows] == list(FORMATS)
    assert report.rows[0].reduction_percent == 0
    assert (report.model, report.weights, report.threads, report.repeats) == ("demo", "pretrained", 1, REPEATS)


def test_figures_come_from_the_samples(measured: tuple[ProfileReport, list[Event]]) -> None:
    report, _ = measured
    yardstick = report.rows[0].median_ms
    for row in report.rows:
        assert len(row.samples_ms) == REPEATS
        assert row.median_ms == statistics.median(row.samples_ms)
        assert row.median_ms <= row.p95_ms <= max(row.samples_ms)
        assert row.reduction_percent == pytest.approx((1 - row.median_ms / yardstick) * 100)
        assert (row.self_cpu_ms is not None) == FORMATS[row.format].runs_in_torch
        assert row.self_cpu_ms is None or row.self_cpu_ms > 0
        assert row.run_engine == FORMATS[row.format].run_engine()


def test_formats_are_measured_in_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    timed = profile._time

    def record(run: object, tensor: object) -> float:
        order.append(run)
        assert not gc.isenabled()
        return timed(run, tensor)  # type: ignore[arg-type]

    monkeypatch.setattr(profile, "_time", record)
    profiled(folder, 8)
    assert gc.isenabled()
    count = len(FORMATS)
    assert len(order) == count * (profile.WARMUP_ROUNDS + 8)
    rounds = [order[start : start + count] for start in range(0, len(order), count)]
    assert all(set(turn) == set(order) for turn in rounds)
    assert any(turn != rounds[0] for turn in rounds)


def test_a_planted_slowdown_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of our own: the file that is loaded third takes 3 ms, the others 1 ms."""
    seen: list[object] = []

    def timed(run: object, tensor: object) -> float:
        if run not in seen:
            seen.append(run)
        return 3.0 if seen.index(run) == 2 else 1.0

    monkeypatch.setattr(profile, "_time", timed)
    report = profiled(folder, 3)
    slow = list(FORMATS)[2]
    assert {row.format: row.median_ms for row in report.rows} == dict.fromkeys(FORMATS, 1.0) | {slow: 3.0}
    assert {row.format: row.reduction_percent for row in report.rows if row.reduction_percent} == {slow: -200.0}


def test_a_report_is_saved_and_read_back(measured: tuple[ProfileReport, list[Event]], tmp_path: Path) -> None:
    profile.save(measured[0], tmp_path / "p.json")
    assert profile.read_report(tmp_path / "p.json") == measured[0]


def test_the_shipped_run_is_of_the_embedded_model_on_a_named_host() -> None:
    report = profile.read_report(embedded.SAVED_PROFILE)
    assert report.model == "demo"
    assert report.host["cpu"]
    assert [row.format for row in report.rows] == list(FORMATS)


@pytest.mark.parametrize(
    ("repeats", "threads", "words"), [(0, None, "0 repeats"), (1, 0, "0 threads"), (1, 10_000, "10000 threads")]
)
def test_numbers_that_make_no_sense_are_refused(repeats: int, threads: int | None, words: str, folder: Path) -> None:
    with pytest.raises(InvalidRequest, match=words):
        profiled(folder, repeats, threads)


def test_threads_are_put_back(folder: Path) -> None:
    before = torch.get_num_threads()
    profiled(folder, 1, 1)
    assert torch.get_num_threads() == before


def test_a_vanished_file_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / build.MANIFEST).write_text((folder / build.MANIFEST).read_text())
    with pytest.raises(InvalidArtifact, match="is gone"):
        profiled(tmp_path, 1)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"rows": [{}]}'])
def test_a_report_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InvalidArtifact, match="ProfileReport of this version|is damaged"):
        profile.read_report(tmp_path / "p.json")
