"""A profile of the embedded model's files, measured here, and what is made of it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from deploy_core import build, documents, embedded, files, profile
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import FORMATS, engines
from deploy_core.formats.inside import GROUPS, OTHER, group_of
from deploy_core.profile import compare, host, record, tables, verdicts
from deploy_core.profile.record import Record, Row
from deploy_core.profile.rounds import LEAST_ROUNDS, MOST_ROUNDS, Until, take_turns
from deploy_core.profile.runs import Runs
from deploy_core.profile.verdicts import TARGETS, Limits
from deploy_core.settings import Settings
from deploy_core.types import Event, OperatorTime
from tests.core.clock import Clock, contenders
from tests.whole_build import WholeBuild

ROUNDS = 4
BUILT = ("original", "scripted", "lite", "executorch", "onnx", "onnx_int8")


def profiled(folder: Path, options: profile.Options, events: list[Event] | None = None) -> Record:
    result = build.read_result(folder)
    paths = {artifact.format: folder / artifact.file for artifact in result.artifacts}
    told = [] if events is None else events
    return profile.profile(result, paths, Settings(), options, told.append)


@pytest.fixture(scope="module")
def broken(whole_build: WholeBuild, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of each runtime's files, where one vanished and another was damaged."""
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
    options = profile.Options(threads=(1, 2), batches=(1, 3), rounds=ROUNDS, traces=traces)
    return profiled(broken, options, events)


@pytest.fixture(scope="module")
def saved() -> Record:
    return record.read(embedded.SAVED_PROFILE)


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
    }


def test_figures_come_from_the_samples(run: Record) -> None:
    original = run.rows[0]
    assert (original.ratio, original.ratio_interval, original.reduction_percent) == (1, (1, 1), 0)
    for row in run.rows:
        assert len(row.samples_ms) == run.repeats == ROUNDS
        assert min(row.samples_ms) <= row.median_interval_ms[0] <= row.median_ms <= row.median_interval_ms[1]
        assert row.median_ms <= row.p95_ms <= max(row.samples_ms)
        assert row.ratio == pytest.approx(row.median_ms / original.median_ms)


def test_each_file_is_examined_alone(run: Record) -> None:
    for row in run.rows:
        assert row.load_ms > 0
        assert row.first_ms > 0
        assert row.peak_bytes > row.runtime_bytes > 10_000_000
        assert [found.batch for found in row.throughput] == ([1, 3] if FORMATS[row.format].takes_batches else [])
        assert all(found.pictures_per_second > 0 for found in row.throughput)
        assert [found.threads for found in row.scaling] == [1, 2]
    # A file that a quarter of the bytes are enough for takes less memory, too.
    assert row_of(run, "lite").peak_bytes < row_of(run, "original").peak_bytes


def test_operators_say_where_the_time_goes(run: Record) -> None:
    for row in run.rows:
        assert bool(row.operators) == (FORMATS[row.format].observe is not None)
        assert (row.self_cpu_ms is not None) == FORMATS[row.format].runs_in_torch
        if row.operators:
            assert "matrix products" in verdicts.by_group(row)
            assert sum(operator.self_ms for operator in row.operators if operator.group == OTHER) < 0.1 * sum(
                operator.self_ms for operator in row.operators
            )
    assert "aten::addmm" in {operator.name for operator in row_of(run, "original").operators}
    assert "quantized::linear_dynamic" in {operator.name for operator in row_of(run, "lite").operators}
    delegated = row_of(run, "executorch").delegated_percent
    assert delegated is not None
    assert delegated > 50


def test_traces_are_written_for_who_asks(run: Record, traces: Path) -> None:
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


def test_the_machine_is_told(run: Record) -> None:
    assert run.host.cpu
    assert run.host.cpus >= 1
    assert run.host.memory_bytes > 1e9
    assert set(run.host.versions) == {"torch", "onnxruntime", "executorch"}
    assert 0 <= run.others_load <= 1


def test_the_instructions_that_matter_are_told_of_an_arm_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        (profile.Options(rounds=0), "0 repeats"),
        (profile.Options(threads=(0,)), "0 threads"),
        (profile.Options(threads=(10_000,)), "10000 threads"),
        (profile.Options(batches=(1, 0)), "batch of 0"),
        (profile.Options(seconds=0), "0 seconds"),
        (profile.Options(seconds=math.nan), "nan seconds"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: profile.Options, words: str, broken: Path) -> None:
    with pytest.raises(InvalidRequest, match=words):
        profiled(broken, options)


def test_without_the_original_there_is_nothing_to_compare_with(broken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    shutil.copytree(broken, folder)
    (folder / FORMATS["original"].filename("demo")).unlink()
    with pytest.raises(Exception, match="demo.safetensors is gone"):
        profiled(folder, profile.Options(rounds=1))


# Records


def test_a_record_is_saved_and_read_back(run: Record, tmp_path: Path) -> None:
    record.save(run, tmp_path / "p.json")
    assert record.read(tmp_path / "p.json") == run
    assert record.parse((tmp_path / "p.json").read_bytes()).key == run.key


def test_the_shipped_run_is_of_the_embedded_model_on_a_named_host(saved: Record) -> None:
    assert saved.model == "demo"
    assert saved.host.cpu
    assert [row.format for row in saved.rows] == list(FORMATS)
    assert not saved.unmeasured
    assert saved.settled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON document"),
        ("[" * 100_000, "no JSON document"),
        ('{"version": NaN}', "no record of a profile"),
        ("[1]", "no record of a profile"),
        ("{}", "no record of a profile"),
        ('{"version": 1}', "record of version 1, and this app reads version 2"),
        ('{"version": 2, "rows": []}', "no Record of this version"),
    ],
)
def test_a_record_that_is_none_is_told(text: str, words: str) -> None:
    with pytest.raises(InvalidArtifact, match=words):
        record.parse(text.encode())


def test_a_record_of_unknown_formats_is_told(saved: Record) -> None:
    document = documents.plain(saved)
    document["rows"][0]["format"] = "coreml"
    with pytest.raises(InvalidArtifact, match="formats that this app does not know"):
        record.parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
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
def test_a_record_whose_figures_do_not_fit_together_is_told(saved: Record, row: int, field: str, value: object) -> None:
    document = documents.plain(saved)
    document["rows"][row][field] = value
    with pytest.raises(InvalidArtifact, match="do not fit together"):
        record.parse(json.dumps(document).encode())


def test_a_record_of_more_rounds_than_anybody_measures_is_told(saved: Record) -> None:
    rows = [dataclasses.replace(row, samples_ms=(1.0,) * (MOST_ROUNDS + 1)) for row in saved.rows]
    forged = dataclasses.replace(saved, repeats=MOST_ROUNDS + 1, rows=tuple(rows))
    with pytest.raises(InvalidArtifact, match="do not fit together"):
        record.parse(json.dumps(documents.plain(forged)).encode())


def test_a_record_that_names_an_unknown_format_as_unmeasured_is_told(saved: Record) -> None:
    forged = dataclasses.replace(saved, unmeasured=(record.Unmeasured("coreml", "because"),))
    with pytest.raises(InvalidArtifact, match="does not know"):
        record.parse(json.dumps(documents.plain(forged)).encode())


def test_runs_are_kept_listed_and_brought_from_elsewhere(run: Record, saved: Record, limits: Settings) -> None:
    runs = Runs(limits)
    assert runs.of("demo", "pretrained", "default") == ()
    older = dataclasses.replace(run, measured_at="2020-01-01T00:00:00+00:00")
    keys = [runs.keep(kept) for kept in (older, run, run)]
    assert keys[1] == keys[2] == run.key != keys[0]
    assert runs.of("demo", "pretrained", "default") == (run, older)
    assert runs.of("demo", "random", "default") == runs.of("demo", "pretrained", "tutorial") == ()
    assert runs.get(run.key) == run
    (limits.home / "runs" / f"{run.key}.json").write_text("{")
    assert runs.of("demo", "pretrained", "default") == (older,)
    # Whoever brings a run opens it by its key, and nobody else sees it.
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
    (folder / "demo.trace.json").write_text("[]")
    runs = Runs(limits)
    kept = runs.traces(runs.keep(saved, folder))
    assert kept is not None
    with zipfile.ZipFile(kept) as archive:
        assert archive.namelist() == ["demo.trace.json"]
    assert runs.traces("0" * 16) is None


def test_only_the_newest_runs_stay(saved: Record, limits: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy_core.profile.runs.MOST_RUNS", 2)
    runs = Runs(limits)
    keys = [runs.keep(dataclasses.replace(saved, measured_at=f"2026-01-0{day}T00:00:00+00:00")) for day in (1, 2, 3)]
    assert [runs.has(key) for key in keys] == [False, True, True]


def test_the_record_does_not_tell_where_a_checkpoint_lies(saved: Record, limits: Settings) -> None:
    assert record.weights_name("/home/ada/secret/wolf.safetensors") == "wolf.safetensors"
    runs = Runs(limits)
    runs.keep(dataclasses.replace(saved, weights="wolf.safetensors"))
    assert len(runs.of("demo", "/home/ada/secret/wolf.safetensors", "default")) == 1


# Verdicts


def planted(saved: Record, **factors: float) -> Record:
    """The shipped run, with the times of some formats multiplied."""
    rows = tuple(
        dataclasses.replace(row, samples_ms=tuple(value * factors.get(row.format, 1) for value in row.samples_ms))
        for row in saved.rows
    )
    return dataclasses.replace(saved, rows=rows)


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_slowdown_is_named_and_a_planted_tie_is_called_a_tie(saved: Record, seed: int) -> None:
    clock = Clock(seed=seed)
    runs = contenders(clock, original=100, optimized=40, lite=40, quantized=44)
    found = take_turns(runs, Until(profile.BOUND, seconds=600), clock=clock)
    assert found.settled
    rows = {key: dataclasses.replace(row_of(saved, key), samples_ms=samples) for key, samples in found.samples.items()}
    tie = verdicts.between(rows["lite"], rows["optimized"])
    assert tie.is_tie
    assert tie.text == "Optimized for mobile and Lite interpreter are equally fast, as far as this run can tell."
    slow = verdicts.between(rows["lite"], rows["quantized"])
    assert not slow.is_tie
    assert slow.interval[0] <= 1.1 <= slow.interval[1]
    assert re.match(r"Scripted and quantized is (8|9|10|11|12) % slower than Lite interpreter \(95 %", slow.text)


def test_the_difference_of_two_files_is_named_with_its_reason(saved: Record) -> None:
    fast = row_of(saved, "optimized")
    slow = dataclasses.replace(
        fast,
        operators=(
            *(operator for operator in fast.operators if operator.name != "aten::copy_"),
            OperatorTime("prepacked::conv2d_clamp_run", "convolution", 0.1, 1),
            OperatorTime("aten::copy_", "copies and layout", 5.8, 40),
        ),
    )
    slow = dataclasses.replace(slow, samples_ms=tuple(value * 4 for value in fast.samples_ms))
    told = verdicts.main_difference(fast, slow)
    assert told is not None
    assert re.match(
        r"Most of it in copies and layout, \+5\.\d\d ms \(aten::copy_ \+5\.\d\d ms, the prepacked patch", told
    )
    assert verdicts.main_difference(fast, fast) is None
    less = {found.name: found for found in verdicts.differences(slow, fast)}
    assert less["aten::copy_"].reason is None
    first = verdicts.differences(fast, slow)[0]
    assert first.name == "aten::copy_"
    assert first.difference_ms == pytest.approx(5.8, abs=0.3)
    assert first.reason is not None
    assert "channels-last" in first.reason
    assert verdicts.differences(fast, fast) == ()


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
    free = {key: verdicts.recommend(saved, target, Limits()) for key, target in TARGETS.items()}
    assert {key: found.format for key, found in free.items()} == {
        "phone": "executorch_int8",
        "web": "onnx_int8",
        "server": "executorch_int8",
    }
    assert "A PC is not a phone" in free["phone"].text
    none = verdicts.recommend(saved, TARGETS["web"], Limits(bytes=1000))
    assert none.format is None
    assert "For a web page: nothing. No file that runs there keeps these limits. The nearest is" in none.text
    assert verdicts.recommend(saved, TARGETS["server"], Limits(milliseconds=0.01)).format is None
    rows = tuple(dataclasses.replace(row, top1_agreement=0.5 if "int8" in row.format else 1) for row in saved.rows)
    exact = dataclasses.replace(saved, rows=rows)
    assert verdicts.recommend(exact, TARGETS["web"], Limits(agreement=0.9)).format == "onnx"


def test_of_files_that_are_as_fast_a_server_gets_the_smaller_one(saved: Record) -> None:
    best = row_of(saved, "executorch_int8")
    rows = (
        saved.rows[0],
        dataclasses.replace(row_of(saved, "onnx"), median_ms=best.median_ms * 0.999),
        best,
    )
    assert verdicts.recommend(dataclasses.replace(saved, rows=rows), TARGETS["server"], Limits()).format == best.format


def test_too_few_rounds_name_no_winner(saved: Record) -> None:
    few = tuple(dataclasses.replace(row, samples_ms=row.samples_ms[: LEAST_ROUNDS - 1]) for row in saved.rows)
    told = verdicts.between(few[0], few[-1])
    assert told.is_tie
    assert "11 rounds are too few" in told.text
    short = dataclasses.replace(saved, rows=few, repeats=LEAST_ROUNDS - 1, settled=False)
    assert verdicts.certainty(short) == "11 rounds are too few for an interval. Measure longer."


def test_a_file_whose_answers_are_wrong_is_never_recommended(saved: Record) -> None:
    rows = tuple(dataclasses.replace(row, disagrees=row.format != "original") for row in saved.rows)
    found = verdicts.recommend(dataclasses.replace(saved, rows=rows), TARGETS["phone"], Limits())
    assert found.format is None


def test_it_says_whether_it_went_on_long_enough(saved: Record) -> None:
    assert verdicts.certainty(saved) == "Every ratio to the original is known to ±2 % (95 %)."
    assert "120 seconds ended before every ratio was known to ±2 %: ExecuTorch is at ±1.8 %" in verdicts.certainty(
        dataclasses.replace(saved, settled=False)
    )
    counted = dataclasses.replace(saved, settled=False, budget_seconds=None)
    assert f"{saved.repeats} rounds ended before" in verdicts.certainty(counted)


# Two runs


def test_two_runs_are_compared(saved: Record) -> None:
    later = planted(saved, lite=1.2)
    found = compare.compare(saved, later)
    texts = {change.format: change.text for change in found.changes}
    assert texts.pop("lite") == "20 % slower"
    assert set(texts.values()) == {"as fast"}
    assert "the same files, the same kind of machine." in found.text
    one = compare.compare(saved, dataclasses.replace(later, threads=1, rows=later.rows[:-1]))
    assert "2 and 1 threads" in one.text
    assert "Only in one of them: ONNX, int8." in one.text
    assert found.same_files
    assert found.same_host


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
