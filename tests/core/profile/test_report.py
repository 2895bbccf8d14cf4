"""Reports of visitors' devices: they are checked and bounded, and only their ID opens them."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy_core import documents, embedded
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.profile.device import report, reports
from deploy_core.profile.device.reports import Reports
from deploy_core.settings import Settings
from deploy_core.storage.entry import Stored
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest

ROW: dict[str, Any] = {
    "format": "onnx_int8",
    "bytes": 3_374_995,
    "sha256": "1" * 64,
    "backend": "wasm",
    "threads": 1,
    "download_ms": None,
    "runtime_ms": 300.0,
    "load_ms": 120.5,
    "first_ms": 60.25,
    "samples_ms": [9.0, 10.0, 11.0, 40.0],
    "discarded": 2,
    "compared": {"cosine": 1.0, "max_abs_difference": 0.001, "same_top1": True, "input_difference": 0.0},
}
DOCUMENT: dict[str, Any] = {
    "kind": "device",
    "version": 1,
    "model": "demo",
    "weights": "pretrained",
    "runtime": "onnxruntime-web 1.30.0",
    "device": {
        "browser": "Chrome 140",
        "system": "Android 15",
        "model": "Pixel 9",
        "cores": 8,
        "memory_gb": 8,
        "gpu": "arm valhall",
        "secure": True,
        "isolated": True,
    },
    "measured_at": "2026-11-23T20:00:00.000Z",
    "rows": [ROW, ROW | {"threads": 4}, ROW | {"backend": "webgpu"}],
    "failures": [{"format": "onnx", "backend": "webgpu", "threads": 1, "reason": "The graphics chip stopped."}],
}


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return encoded(document)


def test_a_report_is_read_and_its_statistics_are_computed_here() -> None:
    found = report.parse(encoded(DOCUMENT))
    first, threaded, graphics = found.rows
    assert first.median_ms == 10.5
    assert first.p95_ms == pytest.approx(35.65)
    assert [row.runs_on for row in (first, threaded, graphics)] == [
        "WebAssembly, 1 thread",
        "WebAssembly, 4 threads",
        "WebGPU",
    ]
    assert found.name == "Chrome 140 on Pixel 9"
    assert report.parse(json.dumps(documents.plain(found)).encode()).report_id == found.report_id


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(rows=[]),
        lambda document: document.update(rows=[ROW, ROW]),
        lambda document: document.update(rows=[ROW | {"threads": count} for count in range(1, 40)]),
        lambda document: document["rows"][0].update(format="weights"),
        lambda document: document["rows"][0].update(backend="quantum"),
        lambda document: document["rows"][0].update(threads=0),
        lambda document: document["rows"][0].update(bytes=0),
        lambda document: document["rows"][0].update(bytes=10**400),
        lambda document: document["rows"][0].update(bytes=10**30),
        lambda document: document["rows"][0].update(sha256="1"),
        lambda document: document["rows"][0].update(sha256="\n" * 64),
        lambda document: document["rows"][0].update(sha256="\ud800" * 64),
        lambda document: document["rows"][0].update(format="original"),
        lambda document: document["rows"][2].update(threads=9),
        lambda document: document["rows"][0].update(samples_ms=[]),
        lambda document: document["rows"][0].update(samples_ms=[1.0] * 5000),
        lambda document: document["rows"][0].update(samples_ms=[0.0]),
        lambda document: document["rows"][0].update(samples_ms=[1e-300]),
        lambda document: document["rows"][0].update(samples_ms=[math.nan]),
        lambda document: document["rows"][0].update(samples_ms="many"),
        lambda document: document["rows"][0].update(load_ms=-1),
        lambda document: document["rows"][0].update(load_ms=10**400),
        lambda document: document["rows"][0].update(first_ms=math.inf),
        lambda document: document["rows"][0].update(discarded=-1),
        lambda document: document["rows"][0]["compared"].update(cosine=2),
        lambda document: document["rows"][0]["compared"].update(input_difference=math.nan),
        lambda document: document["rows"][0]["compared"].update(max_abs_difference=1e308),
        lambda document: document["device"].update(cores=-4),
        lambda document: document["device"].update(memory_gb=math.nan),
        lambda document: document["device"].update(browser="x" * 1000),
        lambda document: document["device"].update(browser="line\nbreak"),
        lambda document: document["device"].pop("gpu"),
        lambda document: document["failures"][0].update(reason="\x1b[31m"),
        lambda document: document["failures"][0].update(threads=2),
        lambda document: document.update(measured_at="yesterday"),
        lambda document: document.update(measured_at="20261123"),
        lambda document: document.update(measured_at="2026-13-23T20:00:00.000Z"),
        lambda document: document.update(version=2),
        lambda document: document.update(kind="profile"),
        lambda document: document.update(model=["demo"] * 400),
    ],
)
def test_what_no_device_can_have_measured_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(InvalidArtifact):
        report.parse(changed(change))


def test_only_what_a_browser_runs_is_reported() -> None:
    assert report.IN_BROWSERS == ("onnx", "onnx_int8", "onnx_float16", "litert", "litert_int8")


@pytest.mark.parametrize(
    ("key", "found", "words"),
    [
        ("onnx_int8", {"cosine": 0.9995}, ""),
        ("onnx", {"cosine": 0.9995}, "logits with a cosine of 0.9995 only"),
        ("onnx_int8", {"same_top1": False}, "another class"),
    ],
)
def test_a_device_that_answers_differently_is_marked(key: str, found: dict[str, Any], words: str) -> None:
    row = ROW | {"format": key, "compared": ROW["compared"] | found}
    assert report.parse(encoded(DOCUMENT | {"rows": [row]})).rows[0].disagreement == words


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", encoded(DOCUMENT | {"more": "x" * 600_000})]
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArtifact):
        report.parse(data)
    assert not report.is_report(data) or len(data) > report.LARGEST_REPORT


def test_only_its_key_opens_a_report(limits: Settings) -> None:
    kept = Reports(limits)
    key = kept.keep(encoded(DOCUMENT))
    assert kept.get(key) == report.parse(encoded(DOCUMENT))
    for wrong in ("0" * 16, f"../reports/{key}", "*", "", f"{key}.json"):
        assert not kept.has(wrong)
        with pytest.raises(InvalidRequest):
            kept.get(wrong)


def test_a_report_of_other_files_than_were_offered_is_refused(limits: Settings) -> None:
    store = Store(limits)
    store.adopt(embedded.ARTIFACTS)
    found: dict[str, Stored] = store.find(BuildRequest("demo", "pretrained", ("onnx_int8",)))
    sha256 = found["onnx_int8"].artifact.sha256
    kept = Reports(limits)
    with pytest.raises(InvalidArtifact, match="another file"):
        kept.keep(encoded(DOCUMENT), found)
    honest = changed(lambda document: [row.update(sha256=sha256) for row in document["rows"]])
    assert kept.has(kept.keep(honest, found))


def test_a_visitors_reports_go_with_the_visitor(limits: Settings) -> None:
    kept = Reports(limits)
    owner = "a" * 32
    key = kept.keep(encoded(DOCUMENT), owner=owner)
    assert kept.has(key)
    kept.forget(owner)
    assert not kept.has(key)


def test_reports_do_not_fill_the_disk(limits: Settings, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(reports, "MOST_REPORTS", 3)
    kept = Reports(limits)
    keys = []
    for cores in range(1, 6):
        keys.append(kept.keep(encoded(DOCUMENT | {"device": DOCUMENT["device"] | {"cores": cores}})))
        time.sleep(0.01)
    assert [kept.has(key) for key in keys] == [False, False, True, True, True]
