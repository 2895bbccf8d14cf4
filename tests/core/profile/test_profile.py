"""Profiles of the embedded model's files, measured here: records, runs, verdicts and tables."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import math
import os
import random
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy_core import build, documents, embedded, files
from deploy_core.errors import InvalidArtifact, InvalidRequest, JobFailed
from deploy_core.formats import FORMATS, engines
from deploy_core.formats.operators import GROUPS, OTHER, group_of, typical
from deploy_core.profile.intervals import LEAST_ROUNDS, MOST_ROUNDS, SpeedOutcome, estimates, outcome_of
from deploy_core.profile.measure import host, isolated
from deploy_core.profile.measure.alone import Examination, Examine
from deploy_core.profile.measure.plan import Plan
from deploy_core.profile.measure.rounds import Rounds, Until, time_in_rounds
from deploy_core.profile.measure.run import BOUND, VISITS, Options, profile
from deploy_core.profile.measure.turns import Contender
from deploy_core.profile.record.record import VERSION, Record, Row, Unmeasured, trace_name, weights_name
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.record.saved import parse_record, read_record, save_record
from deploy_core.profile.verdict import compare, reasons, shipping, tables, verdicts
from deploy_core.profile.verdict.shipping import TARGETS, Limits
from deploy_core.settings import Settings
from deploy_core.types import Event, OperatorTime
from tests.core.profile.clock import Clock, contenders
from tests.whole_build import RUN_HERE, WholeBuild

ROUNDS = 4
# Writes to a far memory address, which crashes the process.
DEADLY = """
def forward(self, picture: Tensor) -> Tensor:
    far = torch.full([1, 1], 1099511627776, dtype=torch.long)
    return torch.ops.aten._sparse_coo_tensor_unsafe(far, picture[0, 0, 0, :1], [10], dtype=None).to_dense()
"""
BUILT = ("original", "scripted", "lite", "executorch", "onnx", "onnx_int8", "coreml")


def profiled(folder: Path, options: Options, events: list[Event] | None = None) -> Record:
    result = build.read_result(folder)
    paths = {artifact.format: folder / artifact.file for artifact in result.artifacts}
    told = [] if events is None else events
    return profile(result, paths, Settings(), options, told.append)


@pytest.fixture(scope="module")
def broken(whole_build: WholeBuild, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with files of each runtime; one file is missing and another is damaged."""
    folder = tmp_path_factory.mktemp("broken") / "build"
    shutil.copytree(whole_build.folder, folder)
    result = build.read_result(folder)
    artifacts = tuple(artifact for artifact in result.artifacts if artifact.format in BUILT)
    documents.write(folder / build.MANIFEST, dataclasses.replace(result, artifacts=artifacts))
    (folder / FORMATS["scripted"].filename("demo")).unlink()
    (folder / FORMATS["onnx"].filename("demo")).write_bytes(b"no graph")
    return folder


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces") / "here"


@pytest.fixture(scope="module")
def run(broken: Path, traces: Path, events: list[Event]) -> Record:
    # One visit to each file takes longer than a second.
    options = Options(threads=(1, 2), batches=(1, 3), seconds=1, rounds=ROUNDS, traces=traces)
    return profiled(broken, options, events)


@pytest.fixture(scope="module")
def saved() -> Record:
    return read_record(embedded.SAVED_PROFILE)


def row_of(run: Record, key: str) -> Row:
    return next(row for row in run.rows if row.format == key)


def test_every_sound_artifact_has_a_row_and_the_others_a_reason(run: Record) -> None:
    assert {row.format: row.run_engine for row in run.rows} == {
        "original": "torch",
        "lite": engines.run_engine(),
        "executorch": "XNNPACK",
        "onnx_int8": "onnxruntime",
    }
    assert [row.format for row in run.rows] == ["original", "lite", "executorch", "onnx_int8"]
    reasons = {failed.format: failed.reason for failed in run.unmeasured}
    assert reasons == {
        "scripted": "demo_scripted.pt is gone. Build it again.",
        "onnx": "demo.onnx is not what was built. Build it again.",
        "coreml": "Such a file is built here, not run here.",
    }


def test_figures_come_from_the_samples(run: Record) -> None:
    original = run.rows[0]
    assert (original.ratio, original.reduction_percent) == (1, 0)
    for row in run.rows:
        assert len(row.samples_ms) == run.repeats == ROUNDS
        # Four rounds are too few for an interval.
        assert row.median_interval_ms is row.ratio_interval is None
        assert row.median_ms <= row.p95_ms <= max(row.samples_ms)
        assert row.ratio == pytest.approx(row.median_ms / original.median_ms)


def test_each_file_is_examined_alone(run: Record) -> None:
    for row in run.rows:
        assert row.load_ms and row.first_ms and row.peak_bytes and row.runtime_bytes  # noqa: PT018
        assert min(row.load_ms, row.first_ms) > 0
        assert row.peak_bytes > row.runtime_bytes > 10_000_000
        assert [found.batch for found in row.throughput] == ([1, 3] if FORMATS[row.format].takes_batches else [])
        assert all(found.pictures_per_second > 0 for found in row.throughput)
        assert [(found.threads, found.rounds, found.interval_ms) for found in row.scaling] == [
            (1, ROUNDS, None),
            (2, ROUNDS, None),
        ]
    # A file with a quarter of the bytes also needs less memory.
    assert (row_of(run, "lite").peak_bytes or 0) < (row_of(run, "original").peak_bytes or 0)


def test_operators_say_where_the_time_goes(run: Record) -> None:
    for row in run.rows:
        assert bool(row.operators) == (FORMATS[row.format].observe is not None)
        assert (row.self_cpu_ms is not None) == FORMATS[row.format].runs_in_torch
        if row.operators:
            assert "matrix products" in reasons.by_group(row)
            assert sum(operator.self_ms for operator in row.operators if operator.group == OTHER) < 0.1 * sum(
                operator.self_ms for operator in row.operators
            )
    assert "aten::addmm" in {operator.name for operator in row_of(run, "original").operators}
    assert "quantized::linear_dynamic" in {operator.name for operator in row_of(run, "lite").operators}
    delegated = row_of(run, "executorch").delegated_percent
    assert delegated is not None
    assert delegated > 50


def test_traces_are_written_if_asked_for(run: Record, traces: Path) -> None:
    written = {path.name.removesuffix(".trace.json"): json.loads(path.read_text()) for path in traces.iterdir()}
    assert set(written) == {row.file for row in run.rows if row.operators}
    for trace in written.values():
        events = trace if isinstance(trace, list) else trace["traceEvents"]
        assert sum(event.get("ph") == "X" for event in events) > 50


def test_progress_goes_to_the_end(run: Record, events: list[Event]) -> None:
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert events[-1] == Event("Done", 1.0)
    assert f"Measuring round {ROUNDS} of {ROUNDS}" in {event.message for event in events}


def test_a_record_describes_the_machine(run: Record) -> None:
    assert run.host.cpu
    assert run.host.cpus >= 1
    assert run.host.memory_bytes > 1e9
    assert set(run.host.versions) == {row.runtime_package for row in FORMATS.values() if row.runs_here}
    assert 0 <= run.others_load <= 1


def test_an_arm_processor_lists_the_instructions_that_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd asimddp\n\nModel\t\t: Raspberry Pi 5\n")
    monkeypatch.setattr(host, "CPUINFO", tmp_path / "cpuinfo")
    found = host.describe()
    assert (found.cpu, found.instructions) == ("Raspberry Pi 5", ("NEON", "NEON dot product"))


def test_the_load_of_others_is_what_is_busy_beside_us(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, clock = iter((100.0, 112.0)), iter((50.0, 54.0)), iter((0.0, 10.0))
    monkeypatch.setattr(host, "_busy", lambda _: next(busy))
    monkeypatch.setattr(host, "_own_seconds", lambda: next(own))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with host.watched() as load:
        pass
    assert load.others == pytest.approx((12 - 4) / 20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(rounds=0), "0 repeats"),
        (Options(threads=(0,)), "0 threads"),
        (Options(threads=(10_000,)), "10000 threads"),
        (Options(batches=(1, 0)), "batch of 0"),
        (Options(seconds=0), "0 seconds"),
        (Options(seconds=math.nan), "nan seconds"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: Options, words: str, broken: Path) -> None:
    with pytest.raises(InvalidRequest, match=words):
        profiled(broken, options)


def test_without_the_original_there_is_nothing_to_compare_with(broken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    shutil.copytree(broken, folder)
    (folder / FORMATS["original"].filename("demo")).unlink()
    with pytest.raises(Exception, match="demo.safetensors is gone"):
        profiled(folder, Options(rounds=1))


def test_a_file_that_crashes_the_process_is_excluded_and_the_rest_are_measured_again(
    whole_build: WholeBuild, tmp_path: Path
) -> None:
    import torch

    module = torch.jit.ScriptModule()
    module.define(DEADLY)
    module.save(tmp_path / "deadly.pt")
    paths = {
        "original": whole_build.path("original"),
        "scripted": tmp_path / "deadly.pt",
        "onnx": whole_build.path("onnx"),
    }
    contenders = {key: Contender(key, path) for key, path in paths.items()}
    found = isolated.time_isolated("demo", contenders, 1, Until(0.02, 1, ROUNDS), Settings())
    assert {key: len(samples) for key, samples in found.samples.items()} == {"original": ROUNDS, "onnx": ROUNDS}
    assert list(found.failed) == ["scripted"]
    assert "It was this file's turn. Build it again." in found.failed["scripted"]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The formats that a profile examines; the examinations are faked."""
    asked: list[str] = []

    def examine(request: Examine, *_: object) -> Examination:
        asked.append(request.format)
        many = 1000.0 if len(asked) == 1 else 10.0
        operators = (OperatorTime("aten::addmm", "matrix products", many, 1),)
        return Examination(many, many, 2_000_000, 1_000_000, (), operators)

    monkeypatch.setattr(isolated, "examine_isolated", examine)
    return asked


def turns_of(samples: Callable[[int], float]) -> Callable[..., Rounds]:
    def timed(_: str, contenders: dict[str, object], threads: int, *__: object) -> Rounds:
        return Rounds({key: (samples(threads),) * LEAST_ROUNDS for key in contenders}, {}, settled=True)

    return timed


def test_a_bad_moment_is_not_taken_for_a_files_own(
    broken: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "time_isolated", turns_of(lambda _: 5.0))
    found = profiled(broken, Options(threads=(1,)))
    order = ["original", "lite", "executorch", "onnx_int8"]
    assert examined == order * VISITS
    original = found.rows[0]
    assert (original.load_ms, original.first_ms, original.self_cpu_ms) == (10, 10, 10)
    assert found.visits == VISITS
    examined.clear()
    # A visit that ends after the time is the last.
    monkeypatch.setattr("deploy_core.profile.measure.run.plan", lambda *_: Plan(1e-9, 1e-9, 0.0, 1e-9))
    assert profiled(broken, Options(threads=(1,))).visits == 1
    assert examined == order


def test_latency_only_examines_no_file(broken: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "time_isolated", turns_of(lambda _: 5.0))
    found = profiled(broken, Options(threads=(1,), is_latency_only=True))
    assert (examined, found.visits) == ([], 0)
    for row in found.rows:
        assert (row.load_ms, row.first_ms, row.added_bytes, row.self_cpu_ms) == (None,) * 4
        assert (row.throughput, row.operators) == ((), ())
    assert parse_record(json.dumps(documents.plain(found)).encode()) == found


def test_progress_never_goes_back_and_tells_the_medians_of_the_first_thread_count(
    broken: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(_: str, contenders: dict[str, object], threads: int, *rest: Any) -> Rounds:
        for fraction in (0.5, 0.2):
            rest[2](Event(f"{threads} threads", fraction, {"original": float(threads)}))
        return Rounds(dict.fromkeys(contenders, (5.0,) * LEAST_ROUNDS), {}, settled=True)

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(isolated, "time_isolated", timed)
    events: list[Event] = []
    profiled(broken, Options(threads=(2, 1)), events)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert {tuple(event.medians.items()) for event in events if event.medians} == {(("original", 2.0),)}


def test_an_operator_gets_the_median_of_its_calls() -> None:
    def call(milliseconds: float) -> tuple[OperatorTime, ...]:
        return (OperatorTime("aten::addmm", "matrix products", milliseconds, 2),)

    once = OperatorTime("aten::copy_", "copies and layout", 9.0, 1)
    assert typical([call(1.0), (*call(500.0), once), call(2.0)]) == call(2.0)


def test_a_thread_count_that_fails_leaves_a_gap_and_the_run(
    broken: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def samples(threads: int) -> float:
        if threads == 2:
            raise JobFailed("It stopped.", "Try again.")
        return 5.0

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(isolated, "time_isolated", turns_of(samples))
    found = profiled(broken, Options(threads=(1, 2)))
    assert [[point.threads for point in row.scaling] for row in found.rows] == [[1]] * 4
    gaps = {(failed.format, failed.reason) for failed in found.unmeasured if failed.threads == 2}
    assert gaps == {(key, "It stopped. Try again.") for key in ("original", "lite", "executorch", "onnx_int8")}


# Records


def test_a_record_is_saved_and_read_back(run: Record, tmp_path: Path) -> None:
    save_record(run, tmp_path / "p.json")
    assert read_record(tmp_path / "p.json") == run
    assert parse_record((tmp_path / "p.json").read_bytes()).run_id == run.run_id


def test_the_shipped_run_is_of_the_embedded_model_on_a_named_host(saved: Record) -> None:
    assert saved.model == "demo"
    assert saved.host.cpu
    measured = [row.format for row in saved.rows]
    assert measured == [key for key in RUN_HERE if key in measured]
    assert {"original", "scripted", "quantized", "optimized", "lite", "executorch_int8", "onnx_int8"} <= set(measured)
    assert not [failed for failed in saved.unmeasured if FORMATS[failed.format].runs_here]
    assert saved.settled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        ('{"version": NaN}', "not the record of a profile"),
        ("[1]", "not the record of a profile"),
        ("{}", "not the record of a profile"),
        ('{"version": 1}', "record of version 1, and this app reads version 4"),
        ('{"version": true}', "not the record of a profile"),
        ('{"version": 2, "rows": []}', "no Record of this version"),
    ],
)
def test_other_json_is_no_record(text: str, words: str) -> None:
    with pytest.raises(InvalidArtifact, match=words):
        parse_record(text.encode())


def test_a_record_of_unknown_formats_is_refused(saved: Record) -> None:
    document = documents.plain(saved)
    document["rows"][0]["format"] = "pickle"
    with pytest.raises(InvalidArtifact, match="formats that this app does not know"):
        parse_record(json.dumps(document).encode())


@pytest.mark.parametrize("path", ["host", "rows[1].median_ms", "rows[0].throughput[0].batch", "settled"])
def test_a_missing_field_is_named(saved: Record, path: str) -> None:
    document = documents.plain(saved)
    holder, _, name = path.rpartition(".")
    inner = document
    for key, number in re.findall(r"(\w+)(?:\[(\d+)\])?", holder):
        inner = inner[key][int(number)]
    del inner[name]
    with pytest.raises(InvalidArtifact, match=re.escape(f"{path} (required field missing)")):
        parse_record(json.dumps(document).encode())


def test_a_record_of_version_2_is_still_read(saved: Record) -> None:
    document = documents.plain(saved)
    document["version"] = 2
    del document["visits"]
    document["unmeasured"] = [{"format": "lite", "reason": "It is gone."}]
    for row in document["rows"]:
        row["scaling"] = [{"threads": 1, "median_ms": 9.0}, {"threads": saved.threads, "median_ms": row["median_ms"]}]
    found = parse_record(json.dumps(document).encode())
    assert (found.version, found.visits) == (VERSION, 1)
    assert found.unmeasured == (Unmeasured("lite", "It is gone.", None),)
    first, main = found.rows[0].scaling
    assert (first.rounds, first.interval_ms) == (None, None)
    assert (main.rounds, main.interval_ms) == (saved.repeats, saved.rows[0].median_interval_ms)
    assert parse_record(json.dumps(documents.plain(found)).encode()) == found


def test_few_rounds_of_version_2_lose_the_interval_that_they_never_had(saved: Record) -> None:
    document = documents.plain(of_rounds(saved, 1)) | {"version": 2}
    for row in document["rows"]:
        row["median_interval_ms"], row["ratio_interval"] = [row["median_ms"]] * 2, [row["ratio"]] * 2
    found = parse_record(json.dumps(document).encode())
    assert {row.median_interval_ms for row in found.rows} == {row.ratio_interval for row in found.rows} == {None}


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        (1, "median_ms", 3.0),
        (1, "ratio", 0.5),
        (1, "reduction_percent", -5.0),
        (1, "ratio_interval", None),
        (1, "ratio_interval", [0.9, 0.8]),
        (1, "median_interval_ms", [1.0, 900.0]),
        (1, "p95_ms", 1.0),
        (1, "spread_ms", 1e6),
        (1, "load_ms", -1),
        (1, "first_ms", 1e300),
        (1, "peak_bytes", -1),
        (1, "cosine", -5),
        (1, "top1_agreement", 7.0),
        (1, "throughput", [{"batch": 0, "pictures_per_second": 1.0}]),
        (1, "throughput", [{"batch": 1, "pictures_per_second": -1.0}]),
        (1, "operators", [{"name": "mm", "group": "other", "self_ms": -1, "calls": 1}]),
        (1, "scaling", [{"threads": 2, "median_ms": 1.0, "interval_ms": None, "rounds": None}]),
        (1, "run_engine", "x" * 10_000),
        (0, "format", "lite"),
        (1, "format", "original"),
        (1, "samples_ms", [1.0]),
        (1, "median_ms", 0),
        (0, "bytes", -1),
        (0, "peak_bytes", 10**400),
        (0, "load_ms", "nan"),
        (0, "first_ms", 1e999),
    ],
)
def test_a_record_whose_figures_do_not_fit_is_refused(saved: Record, row: int, field: str, value: object) -> None:
    document = documents.plain(saved)
    document["rows"][row][field] = value
    with pytest.raises(InvalidArtifact, match="do not fit together"):
        parse_record(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bound", -1),
        ("threads", 0),
        ("others_load", 2),
        ("budget_seconds", -3),
        ("measured_at", "x" * 100_000),
        ("measured_at", "yesterday"),
        ("measured_at", "2026-01-01T00:00:00"),
    ],
)
def test_a_record_of_what_cannot_be_is_refused(saved: Record, field: str, value: object) -> None:
    with pytest.raises(InvalidArtifact, match=f"do not fit together: {field}"):
        parse_record(json.dumps(documents.plain(saved) | {field: value}).encode())


def test_numbers_beyond_all_bounds_are_refused(saved: Record) -> None:
    document = documents.plain(saved)
    document["rows"][1]["load_ms"] = 10**400
    with pytest.raises(InvalidArtifact, match=re.escape("rows[1].load_ms")):
        parse_record(json.dumps(document).encode())


def test_a_record_of_more_rounds_than_anybody_measures_is_refused(saved: Record) -> None:
    forged = of_rounds(saved, MOST_ROUNDS + 1)
    with pytest.raises(InvalidArtifact, match="do not fit together"):
        parse_record(json.dumps(documents.plain(forged)).encode())


def test_a_record_with_an_unknown_unmeasured_format_is_refused(saved: Record) -> None:
    forged = dataclasses.replace(saved, unmeasured=(Unmeasured("pickle", "because", None),))
    with pytest.raises(InvalidArtifact, match="does not know"):
        parse_record(json.dumps(documents.plain(forged)).encode())


def test_runs_are_kept_listed_and_brought_from_elsewhere(run: Record, saved: Record, limits: Settings) -> None:
    runs = Runs(limits)
    assert runs.of("demo", "pretrained", "default") == ()
    older = dataclasses.replace(run, measured_at="2020-01-01T00:00:00+00:00")
    keys = [runs.keep(kept) for kept in (older, run, run)]
    assert keys[1] == keys[2] == run.run_id != keys[0]
    assert runs.of("demo", "pretrained", "default") == (run, older)
    assert runs.of("demo", "random", "default") == runs.of("demo", "pretrained", "tutorial") == ()
    assert runs.get(run.run_id) == run
    (limits.home / "runs" / f"{run.run_id}.json").write_text("{")
    assert runs.of("demo", "pretrained", "default") == (older,)
    # Only its ID opens an uploaded run.
    elsewhere = dataclasses.replace(saved, measured_at="2099-01-01T00:00:00+00:00")
    key = runs.take_in(json.dumps(documents.plain(elsewhere)).encode())
    assert runs.get(key) == elsewhere
    assert runs.of("demo", "pretrained", "default") == (older,)
    for wrong in ("../../etc/passwd", "given/x", "0" * 16):
        assert not runs.has(wrong)
        with pytest.raises(InvalidRequest, match="no run"):
            runs.get(wrong)


def test_traces_stay_with_their_run(saved: Record, limits: Settings, tmp_path: Path) -> None:
    folder = files.make_folder(tmp_path / "traces")
    written = [trace_name(row.file) for row in saved.rows if row.operators]
    for name in (*written, "of another run.trace.json"):
        (folder / name).write_text("[]")
    runs = Runs(limits)
    kept = runs.traces(runs.keep(saved, folder))
    assert kept is not None
    with zipfile.ZipFile(kept) as archive:
        assert archive.namelist() == written
    assert runs.traces("0" * 16) is None


def test_a_run_that_an_older_version_named_is_named_anew(saved: Record, limits: Settings) -> None:
    runs = Runs(limits)
    key = runs.keep(saved)
    folder = limits.home / "runs"
    (folder / f"{key}.json").rename(folder / f"{'0' * 16}.json")
    (folder / f"{'0' * 16}.zip").write_bytes(b"traces")
    runs.sweep()
    assert runs.get(key) == saved
    assert runs.traces(key) is not None
    assert runs.get("0" * 16) == saved
    runs.sweep()
    assert [run.run_id for run in runs.of(saved.model, saved.weights, saved.optimize)] == [key]


def test_only_the_newest_runs_stay(saved: Record, limits: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy_core.profile.record.runs.MOST_RUNS", 2)
    runs = Runs(limits)
    keys = [runs.keep(dataclasses.replace(saved, measured_at=f"2026-01-0{day}T00:00:00+00:00")) for day in (1, 2, 3)]
    assert [runs.has(key) for key in keys] == [False, True, True]


def test_the_record_does_not_tell_where_a_checkpoint_lies(saved: Record, limits: Settings) -> None:
    assert weights_name("/home/ada/secret/wolf.safetensors") == "wolf.safetensors"
    runs = Runs(limits)
    runs.keep(dataclasses.replace(saved, weights="wolf.safetensors"))
    assert len(runs.of("demo", "/home/ada/secret/wolf.safetensors", "default")) == 1


# Verdicts


def of_samples(run: Record, samples: Callable[[Row], Sequence[float]]) -> Record:
    """The run with other samples."""
    told = {row.format: tuple(samples(row)) for row in run.rows}
    found = estimates(told)
    rows = tuple(
        dataclasses.replace(
            row,
            samples_ms=told[row.format],
            median_ms=found[row.format].median,
            median_interval_ms=found[row.format].median_interval,
            ratio=found[row.format].ratio,
            ratio_interval=found[row.format].ratio_interval,
            reduction_percent=(1 - found[row.format].ratio) * 100,
            p95_ms=max(told[row.format]),
            spread_ms=0.0,
            scaling=(),
        )
        for row in run.rows
    )
    repeats = len(rows[0].samples_ms)
    return dataclasses.replace(run, rows=rows, repeats=repeats, settled=run.settled and repeats >= LEAST_ROUNDS)


def planted(saved: Record, **factors: float) -> Record:
    """The shipped run with the times of some formats multiplied."""
    return of_samples(saved, lambda row: [value * factors.get(row.format, 1) for value in row.samples_ms])


def of_rounds(saved: Record, rounds: int) -> Record:
    """The shipped run with fewer or more rounds."""
    return of_samples(saved, lambda row: (row.samples_ms * (rounds // len(row.samples_ms) + 1))[:rounds])


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_slowdown_is_named_and_a_planted_tie_is_called_a_tie(saved: Record, seed: int) -> None:
    clock = Clock(seed=seed)
    runs = contenders(clock, original=100, optimized=40, lite=40, quantized=44)
    found = time_in_rounds(runs, Until(BOUND, seconds=600), clock=clock)
    assert found.settled
    rows = {key: dataclasses.replace(row_of(saved, key), samples_ms=samples) for key, samples in found.samples.items()}
    tie = verdicts.between(rows["lite"], rows["optimized"])
    assert tie.outcome is SpeedOutcome.EQUAL
    assert re.fullmatch(r"Optimized for mobile and Lite interpreter are equally fast, to within [1-5] %\.", tie.text)
    slow = verdicts.between(rows["lite"], rows["quantized"])
    assert slow.outcome is SpeedOutcome.SLOWER
    assert slow.interval
    assert slow.interval[0] <= 1.1 <= slow.interval[1]
    assert re.match(r"Scripted and quantized is (8|9|10|11|12) % slower than Lite interpreter \(95 %", slow.text)


def test_the_difference_of_two_files_is_named_with_its_reason(saved: Record) -> None:
    fast = row_of(saved, "optimized")
    slow = dataclasses.replace(
        fast,
        operators=(
            *(operator for operator in fast.operators if operator.name != "aten::copy_"),
            OperatorTime("prepacked::conv2d_clamp_run", "convolution", 0.1, 1),
            OperatorTime("aten::copy_", "copies and layout", 46.0, 40),
        ),
    )
    slow = dataclasses.replace(
        slow, samples_ms=tuple(value * 4 for value in fast.samples_ms), median_ms=fast.median_ms * 4
    )
    assert re.search(
        r"slower .* Most of it is in copies and layout, \+4\d\.\d+ ms \(aten::copy_ \+4\d\.\d+ ms, the prepacked patch",
        reasons.explanation(fast, slow),
    )
    assert reasons.explanation(fast, fast) == verdicts.between(fast, fast).text
    less = {found.name: found for found in reasons.differences(slow, fast)}
    assert less["aten::copy_"].reason is None
    first = reasons.differences(fast, slow)[0]
    assert first.name == "aten::copy_"
    assert first.difference_ms == pytest.approx(46.0, abs=0.3)
    assert first.difference_ms == first.second_ms - first.first_ms
    assert first.reason is not None
    assert "channels-last" in first.reason
    assert reasons.differences(fast, fast) == ()


def test_what_makes_a_file_slower_takes_more_time_in_it(saved: Record) -> None:
    """In all pairs of the shipped run, the reason and the verdict point the same way."""
    seen = [row for row in saved.rows if row.operators and "slower moment" not in reasons.main_difference(row, row)]
    # ONNX Runtime's own profiler slows one file down by more than half.
    assert len(seen) >= 10
    for first, second in itertools.permutations(seen, 2):
        verdict, told = verdicts.between(first, second), reasons.explanation(first, second)
        if not verdict.outcome.is_difference:
            assert told == verdict.text
            continue
        sign = "+" if verdict.outcome is SpeedOutcome.SLOWER else "-"
        assert set(re.findall(r" ([+-])\d+\.\d\d ms", told.removeprefix(verdict.text))) == {sign}


def spending(row: Row, median: float, **groups: float) -> Row:
    operators = tuple(OperatorTime(name, name, spent, 1) for name, spent in groups.items())
    return dataclasses.replace(row, median_ms=median, operators=operators)


def test_a_reason_explains_at_least_half_or_is_none(saved: Record) -> None:
    one = spending(saved.rows[0], 10.0, attention=4.0, activation=4.0, other=1.0)
    # Less time in attention cannot make it slower, and none of four equal parts makes half of the difference.
    scattered = spending(saved.rows[1], 14.0, attention=1.0, activation=6.0, other=3.0)
    outside = spending(saved.rows[1], 14.0, attention=4.0, activation=4.0, other=2.0)
    assert reasons.main_difference(one, scattered) == "Most of it is outside the operators, +3.00 ms."
    assert reasons.main_difference(one, outside) == "Most of it is outside the operators, +3.00 ms."
    even = spending(saved.rows[1], 14.0, attention=5.2, activation=5.2, other=2.2)
    assert reasons.main_difference(one, even) == "No one kind of operator explains half of these +4.00 ms."


def test_operators_that_were_seen_at_a_slower_moment_explain_nothing(saved: Record) -> None:
    def row(median: float, products: float) -> Row:
        return spending(saved.rows[0], median, products=products)

    assert "slower moment" in reasons.main_difference(row(14, 32), row(12, 12))
    assert "slower moment" in reasons.main_difference(row(12, 12), row(14, 32))
    assert "No one kind" in reasons.main_difference(row(12, 12), row(11, 9))
    assert reasons.main_difference(row(12, 12), row(10, 9.5)).startswith("Most of it is in products, -2.50 ms")


def test_what_is_exported_of_anybodys_record_is_text(saved: Record) -> None:
    """The table keeps its columns, and holds no heading, no HTML and no formula."""
    host = dataclasses.replace(saved.host, cpu="A|B\n# <img src=x>")
    rows = tuple(dataclasses.replace(row, run_engine="=1|2", file="@file") for row in saved.rows)
    forged = dataclasses.replace(saved, host=host, rows=rows)
    markdown = tables.as_markdown(forged)
    assert len(markdown.splitlines()) == len(tables.as_markdown(saved).splitlines())
    assert "<img" not in markdown.replace("\\<", "")
    assert "A\\|B #" in markdown
    assert "=1\\|2" in markdown
    for line in csv.DictReader(io.StringIO(tables.as_csv(forged))):
        assert (line["run_engine"], line["file"]) == ("'=1|2", "'@file")


def test_a_peak_below_what_was_held_before_cannot_be(saved: Record) -> None:
    small = dataclasses.replace(saved.rows[0], peak_bytes=(saved.rows[0].runtime_bytes or 0) - 1)
    forged = dataclasses.replace(saved, rows=(small, *saved.rows[1:]))
    with pytest.raises(InvalidArtifact, match="peak_bytes"):
        parse_record(json.dumps(documents.plain(forged)).encode())


def test_operators_of_all_runtimes_fall_into_the_same_groups() -> None:
    assert {group_of(name) for name in ("aten::addmm", "MatMulInteger", "quantized::linear_dynamic")} == {
        "matrix products"
    }
    assert {group_of(name) for name in ("aten::copy_", "Transpose", "ReorderOutput")} == {"copies and layout"}
    assert group_of("custom::thing") == OTHER
    assert OTHER not in GROUPS


def test_the_pareto_front_is_what_nothing_beats_both_ways(saved: Record) -> None:
    front = verdicts.pareto(saved.rows)
    for row in saved.rows:
        beaten = any(
            other.bytes < row.bytes and other.median_ms < row.median_ms for other in saved.rows if other is not row
        )
        assert not (row in front and beaten)
    assert min(saved.rows, key=lambda row: row.median_ms) in front
    assert min(saved.rows, key=lambda row: row.bytes) in front


def test_recommendations_fit_the_target_and_the_limits(saved: Record) -> None:
    free = {key: shipping.recommend(saved, target, Limits()) for key, target in TARGETS.items()}
    assert {key: found.format for key, found in free.items()} == {
        "phone": "executorch_int8",
        "web": "onnx_int8",
        "server": "litert_int8",
    }
    assert "A PC is not a phone" in free["phone"].text
    none = shipping.recommend(saved, TARGETS["web"], Limits(bytes=1000))
    assert none.format is None
    assert "For a web page: Nothing. No file that runs there keeps these limits. The nearest is" in none.text
    assert shipping.recommend(saved, TARGETS["server"], Limits(milliseconds=0.01)).format is None
    rows = tuple(dataclasses.replace(row, top1_agreement=0.5 if "int8" in row.format else 1) for row in saved.rows)
    exact = dataclasses.replace(saved, rows=rows)
    assert shipping.recommend(exact, TARGETS["web"], Limits(agreement=0.9)).format == "onnx_float16"


@pytest.mark.parametrize("key", TARGETS)
def test_the_file_that_breaks_a_limit_least_is_the_nearest(saved: Record, key: str) -> None:
    able = [row for row in saved.rows if TARGETS[key].takes(row.format)]
    fastest = min(able, key=lambda row: row.median_ms)
    told = shipping.recommend(saved, TARGETS[key], Limits(milliseconds=0.5)).reason
    assert f"The nearest is {FORMATS[fastest.format].title}: {fastest.median_ms:.1f} ms." in told
    # Each breaks one limit, but one of them by far.
    far = shipping.recommend(saved, TARGETS[key], Limits(bytes=10, milliseconds=fastest.median_ms * 0.99)).reason
    assert f"The nearest is {FORMATS[min(able, key=lambda row: row.bytes).format].title}" in far


def test_of_files_that_are_as_fast_a_server_gets_the_smaller_one_and_hears_of_the_other(saved: Record) -> None:
    best = row_of(saved, "executorch_int8")
    twin = dataclasses.replace(
        row_of(saved, "onnx"),
        samples_ms=tuple(value * 0.999 for value in best.samples_ms),
        median_ms=best.median_ms * 0.999,
    )
    found = shipping.recommend(
        dataclasses.replace(saved, rows=(saved.rows[0], twin, best)), TARGETS["server"], Limits()
    )
    assert found.format == best.format
    assert "No reliable difference in speed, and no smaller: ONNX." in found.reason


def test_a_difference_that_is_not_sure_decides_nothing(saved: Record) -> None:
    """The larger file's median is 10 % lower, but the samples scatter too much to tell."""
    noise = random.Random(3)
    small, large = row_of(saved, "executorch_int8"), row_of(saved, "onnx")
    samples = {row.format: [noise.lognormvariate(0, 1) for _ in range(20)] for row in (saved.rows[0], small, large)}
    run = of_samples(dataclasses.replace(saved, rows=(saved.rows[0], small, large)), lambda row: samples[row.format])
    first, second = run.rows[1:]
    assert verdicts.between(first, second).outcome is SpeedOutcome.UNKNOWN
    assert "No reliable difference between" in verdicts.between(first, second).text
    assert shipping.recommend(run, TARGETS["server"], Limits()).format == "executorch_int8"


@pytest.mark.parametrize("rounds", [1, LEAST_ROUNDS - 1])
def test_too_few_rounds_decide_nothing_about_speed(saved: Record, rounds: int) -> None:
    short = of_rounds(saved, rounds)
    told = verdicts.between(short.rows[0], short.rows[-1])
    assert (told.outcome, told.interval) == (SpeedOutcome.UNKNOWN, None)
    counted = "1 round" if rounds == 1 else "11 rounds"
    assert told.text == f"No reliable difference between LiteRT, int8 and Original after {counted}; measure longer."
    assert verdicts.certainty(short) == f"{counted} cannot give an interval: that takes 12."
    server = shipping.recommend(short, TARGETS["server"], Limits())
    assert server.format is None
    assert server.text == f"For a server like this: Cannot say yet. {server.reason}"
    assert "cannot tell which file is fast enough. Measure longer." in server.reason
    smallest = min(short.rows, key=lambda row: row.bytes)
    phone = shipping.recommend(short, TARGETS["phone"], Limits())
    assert phone.format == smallest.format
    assert "times as fast" not in phone.reason
    assert shipping.recommend(short, TARGETS["phone"], Limits(milliseconds=100)).format is None
    assert "too few rounds" in tables.as_markdown(short)
    first = list(csv.DictReader(io.StringIO(tables.as_csv(short))))[0]
    assert (first["median_low_ms"], first["ratio_high"]) == ("", "")


def test_a_file_whose_answers_are_wrong_is_never_recommended(saved: Record) -> None:
    rows = tuple(dataclasses.replace(row, disagrees=row.format != "original") for row in saved.rows)
    found = shipping.recommend(dataclasses.replace(saved, rows=rows), TARGETS["phone"], Limits())
    assert found.format is None


def test_it_says_whether_it_went_on_long_enough(saved: Record) -> None:
    assert verdicts.certainty(saved) == "Every ratio to the original is known to ±2 % (95 %)."
    widest = max((high - low) / 2 / row.ratio for row in saved.rows[1:] for low, high in [row.ratio_interval or (0, 0)])
    told = verdicts.certainty(dataclasses.replace(saved, settled=False))
    assert "240 seconds ended before every ratio was known to ±2 %" in told
    assert f"is at ±{widest * 100:.1f} %" in told
    counted = dataclasses.replace(saved, settled=False, budget_seconds=None)
    assert f"{saved.repeats} rounds ended before" in verdicts.certainty(counted)


# Two runs


def test_two_runs_are_compared(saved: Record) -> None:
    later = planted(saved, lite=1.2)
    found = compare.compare(saved, later)
    texts = {change.format: change.text for change in found.changes}
    assert texts.pop("lite") == "20 % slower"
    assert set(texts.values()) == {"as fast"}
    assert {change.is_tie for change in found.changes} == {True, False}
    assert "the same files, the same kind of machine." in found.text
    one = compare.compare(saved, dataclasses.replace(later, threads=1, rows=later.rows[:-1]))
    assert "2 and 1 thread" in one.text
    assert "Only in one of them: LiteRT, int8." in one.text
    assert found.same_files
    assert found.same_host


@pytest.mark.parametrize(
    ("ratio", "interval", "told"),
    [
        (1.01, (0.97, 1.04), SpeedOutcome.EQUAL),
        (1.01, (1.005, 1.015), SpeedOutcome.EQUAL),
        (1.95, (0.89, 2.07), SpeedOutcome.UNKNOWN),
        (1.01, (1.005, 1.08), SpeedOutcome.UNKNOWN),
        (1.03, (1.02, 1.04), SpeedOutcome.SLOWER),
        (0.45, (0.4, 0.5), SpeedOutcome.FASTER),
        (0.45, None, SpeedOutcome.UNKNOWN),
    ],
)
def test_equal_is_said_only_where_the_whole_interval_is(
    ratio: float, interval: tuple[float, float] | None, told: SpeedOutcome
) -> None:
    assert outcome_of(ratio, interval, 0.02, 0.05) is told


def test_what_a_machine_does_by_itself_is_no_difference_of_two_runs(saved: Record) -> None:
    change = compare.compare(saved, saved).changes[0]
    drifted = dataclasses.replace(change, ratio=1.04, interval=(1.02, 1.06))
    assert (drifted.text, drifted.is_tie) == ("no reliable difference", False)


def test_a_short_run_cannot_be_compared_with_another(saved: Record) -> None:
    found = compare.compare(saved, of_rounds(planted(saved, lite=3), 3))
    assert {(change.text, change.interval) for change in found.changes} == {("no reliable difference", None)}
    assert "too few rounds" in found.changes[0].ratio_text
    assert "In the second run" not in found.text
    assert "No reliable difference for: Original, Scripted, " in found.text


def test_runs_of_different_models_or_formats_are_not_compared(saved: Record) -> None:
    with pytest.raises(InvalidRequest, match="One run is of demo, the other of deit"):
        compare.compare(saved, dataclasses.replace(saved, model="deit_tiny_patch16_224"))
    with pytest.raises(InvalidRequest, match="no format in common"):
        compare.compare(
            dataclasses.replace(saved, rows=saved.rows[:1]), dataclasses.replace(saved, rows=saved.rows[1:])
        )


# Tables


def test_tables_say_what_the_record_says(saved: Record) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.as_csv(saved))))
    assert [line["format"] for line in lines] == [row.format for row in saved.rows]
    assert [float(line["median_ms"]) for line in lines] == [row.median_ms for row in saved.rows]
    markdown = tables.as_markdown(saved)
    for row in saved.rows:
        assert f"| {FORMATS[row.format].title} | {row.run_engine} | {row.median_ms:.2f} ms |" in markdown
    assert saved.host.cpu in markdown
    assert len({line.count("|") for line in markdown.splitlines() if "pictures/s" in line}) == 1
    for line, row in zip(lines, saved.rows, strict=True):
        for found in row.throughput:
            assert float(line[f"throughput_{found.batch}"]) == found.pictures_per_second
        for point in row.scaling:
            assert float(line[f"median_ms_threads_{point.threads}"]) == point.median_ms
    rates = {line[0]: line[1:] for line in tables.rates(saved)}
    assert "one at a time" in rates["ExecuTorch"]
    assert f"{saved.rows[0].throughput[0].pictures_per_second:.0f} pictures/s" in rates["Original"]
    assert {"Spread", "Same answer"} < set(tables.HEAD)
    assert tables.rates_head(saved)[-2:] == ("1 thread", "2 threads")


def test_what_is_missing_is_listed_with_its_reason(saved: Record) -> None:
    gone = [Unmeasured(key, "It stopped.", threads) for key, threads in (("lite", 1), ("onnx", 1), ("scripted", None))]
    assert tables.unmeasured(dataclasses.replace(saved, unmeasured=tuple(gone))) == (
        "Lite interpreter; ONNX were not measured with 1 thread. It stopped.",
        "Scripted was not measured. It stopped.",
    )


def test_the_tutorials_table_is_there_line_for_line(saved: Record) -> None:
    assert [told.model for told in tables.TUTORIAL] == [
        "original model",
        "scripted model",
        "scripted & quantized model",
        "scripted & quantized & optimized model",
        "lite model",
    ]
    for told in tables.TUTORIAL:
        expected = (1 - told.milliseconds / tables.TUTORIAL[0].milliseconds) * 100
        assert told.reduction_percent == pytest.approx(expected, abs=0.01)
        assert tables.tutorial_reduction(saved.rows[0], row_of(saved, told.format)) is not None
