from __future__ import annotations

import gc
import statistics
from pathlib import Path

import pytest

from deploy_core import build, embedded, profile
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, Event, ProfileReport

REPEATS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    build.build(BuildRequest("demo", "pretrained", tuple(FORMATS)), folder, Settings())
    return folder


@pytest.fixture(scope="module")
def measured(folder: Path) -> tuple[ProfileReport, list[Event]]:
    events: list[Event] = []
    return profile.profile(folder, Settings(), REPEATS, 1, events.append), events


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
        assert row.self_cpu_ms > 0
        assert (row.run_engine is not None) == FORMATS[row.format].is_quantized


def test_formats_are_measured_in_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    timed = profile._time

    def record(run: object, tensor: object) -> float:
        order.append(run)
        assert not gc.isenabled()
        return timed(run, tensor)  # type: ignore[arg-type]

    monkeypatch.setattr(profile, "_time", record)
    profile.profile(folder, Settings(), 8, 1)
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
    report = profile.profile(folder, Settings(), 3, 1)
    assert [row.median_ms for row in report.rows] == [1.0, 1.0, 3.0, 1.0, 1.0]
    assert [row.reduction_percent for row in report.rows] == pytest.approx([0, 0, -200, 0, 0])


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
        profile.profile(folder, Settings(), repeats, threads)


def test_a_folder_without_a_build_and_a_vanished_file_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match="no finished build"):
        profile.profile(tmp_path, Settings())
    (tmp_path / build.MANIFEST).write_text((folder / build.MANIFEST).read_text())
    with pytest.raises(InvalidArtifact, match="is gone"):
        profile.profile(tmp_path, Settings())


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"rows": [{}]}'])
def test_a_report_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InvalidArtifact, match="no profile of this version"):
        profile.read_report(tmp_path / "p.json")
