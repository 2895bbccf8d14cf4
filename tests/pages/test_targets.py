"""Which file the cards of Build recommend, by what a row and a proof say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy_core import embedded
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildRequest, Verdict
from pages.built.targets import TARGETS, recommended


@pytest.fixture
def proven(limits: Settings) -> Artifact:
    """A file that matches the original."""
    store = Store(limits)
    store.adopt(embedded.ARTIFACTS)
    shipped = store.find(BuildRequest("demo", "pretrained", ("onnx_int8",)))["onnx_int8"].artifact
    return judged(replace(shipped, disagrees=False), Verdict.SAME)


def judged(artifact: Artifact, verdict: Verdict | None) -> Artifact:
    assert artifact.proof
    return replace(artifact, proof=replace(artifact.proof, verdict=verdict))


ONNX = ("onnx", "onnx_int8")


def best(target: str, keys: tuple[str, ...] = tuple(FORMATS), **built: Artifact) -> str | None:
    row = recommended(next(one for one in TARGETS if one.key == target), keys, built)
    return row.key if row else None


def test_each_place_gets_the_smallest_file_of_a_maintained_runtime() -> None:
    for target in TARGETS:
        row = recommended(target, FORMATS, {})
        assert row
        assert target.takes(row)
        assert row.is_maintained
        assert row.is_int8 or row.key == target.native


def test_a_runtime_without_new_versions_comes_last() -> None:
    assert best("android", ("lite", "onnx")) == "onnx"
    assert best("android", ("lite", "scripted")) == "lite"


def test_a_file_that_changes_answers_is_never_recommended(proven: Artifact) -> None:
    changing = judged(proven, Verdict.CHANGES)
    assert best("web", ONNX, onnx_int8=changing) == "onnx"
    assert best("web", ONNX, onnx_int8=replace(proven, disagrees=True)) == "onnx"
    assert best("web", ("onnx_int8",), onnx_int8=changing) is None


def test_a_file_without_a_proof_comes_after_those_with_one(proven: Artifact) -> None:
    unproven = judged(proven, None)
    assert best("web", ONNX, onnx_int8=unproven, onnx=proven) == "onnx"
    assert best("web", ("onnx_int8",), onnx_int8=unproven) == "onnx_int8"


def test_an_iphone_gets_core_ml_first() -> None:
    assert best("ios") == "coreml"
    assert best("ios", ("executorch_int8", "coreml_int8")) == "executorch_int8"


def test_a_file_that_does_not_run_here_comes_after_those_that_do(proven: Artifact) -> None:
    not_here = [row.key for row in FORMATS.values() if not row.runs_here and row.key != "coreml"]
    assert not_here
    assert best("ios", (*not_here, "executorch")) == "executorch"
    assert best("ios", tuple(not_here)) in not_here
    assert best("ios", (*not_here, "executorch"), executorch=judged(proven, Verdict.CHANGES)) in not_here


def test_the_original_is_no_file_for_an_app() -> None:
    assert best("android", ("original",)) is None
