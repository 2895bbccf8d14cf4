from __future__ import annotations

import dataclasses
import errno
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from deploy_core import build, files
from deploy_core.errors import FormatUnavailable, InvalidArtifact, InvalidCheckpoint, InvalidRequest, StorageFailed
from deploy_core.formats import FORMATS
from deploy_core.formats.torchscript.running import deprecations_ignored
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult, Event, Unbuilt, Verdict
from tests.whole_build import WholeBuild

ALL = BuildRequest("demo", "pretrained", tuple(FORMATS))


@pytest.fixture
def small(pets: Path) -> BuildRequest:
    """A build of a small model."""
    return BuildRequest(str(pets), "pretrained", ("scripted",))


@pytest.fixture
def two(small: BuildRequest) -> BuildRequest:
    return dataclasses.replace(small, formats=("scripted", "quantized"))


def read_result(folder: Path, request: BuildRequest) -> BuildResult:
    """The build in ``folder``, whose model is the file there, as a build of ``request``."""
    return dataclasses.replace(build.read_result(folder), model=request.model)


def test_the_result_tells_the_truth_about_the_files(whole_build: WholeBuild) -> None:
    folder, result = whole_build.folder, whole_build.result
    assert [artifact.format for artifact in result.artifacts] == list(FORMATS)
    for artifact in result.artifacts:
        path = folder / artifact.file
        assert artifact.bytes == path.stat().st_size
        assert artifact.sha256 == files.sha256(path)
        assert min(artifact.seconds.build, artifact.seconds.sync, artifact.seconds.check) > 0
        assert not artifact.disagrees
        row, proof = FORMATS[artifact.format], artifact.proof
        assert (proof is not None) == row.runs_here == (artifact.read_back is None)
        if proof is None:
            continue
        assert proof.pictures >= 200
        assert row.least_cosine < proof.cosine <= 1 + 1e-9
        assert proof.verdict is (Verdict.UNDECIDED if row.is_int8 else Verdict.SAME)
        assert (proof.phone is not None) == (row.load_as_on_phone is not None)
        assert proof.engine == row.run_engine()
        assert len(proof.moved) == 3
        assert not row.is_int8 or all(one.margin != one.margin_after for one in proof.moved)
    assert result.unbuilt == ()
    assert {path.name for path in folder.iterdir()} == {a.file for a in result.artifacts} | {build.MANIFEST}
    assert build.read_result(folder) == result


def test_float_formats_answer_exactly_and_int8_nearly(whole_build: WholeBuild) -> None:
    proofs = {artifact.format: artifact.proof for artifact in whole_build.result.artifacts}
    differences = {key: found.max_abs_difference for key, found in proofs.items() if found}
    # Read back, its weights lie elsewhere in memory, and the kernels may add up in another order.
    assert differences["original"] < 1e-5
    assert differences["scripted"] < 1e-4
    assert 0 < differences["lite"] < 1


def test_progress_is_steady_and_ends_at_the_end(whole_build: WholeBuild) -> None:
    events = whole_build.events
    fractions = [event.fraction for event in events]
    assert fractions == sorted(set(fractions))
    assert events[0] == Event("Loading DeiT Deploy Tiny (included)", 0.0)
    assert events[-1] == Event("Done", 1.0)


def test_an_archive_carries_the_files_own_name(whole_build: WholeBuild) -> None:
    for path in whole_build.folder.glob("*.pt"):
        with zipfile.ZipFile(path) as archive:
            assert {name.split("/")[0] for name in archive.namelist()} == {path.stem}


def test_x86_doubles_the_lite_file_and_qnnpack_does_not(
    whole_build: WholeBuild, tmp_path: Path, few_pictures: None
) -> None:
    wide = build.build_into(tmp_path, dataclasses.replace(ALL, formats=("lite",), engine="x86"), Settings())
    sizes = {artifact.format: artifact.bytes for artifact in wide.artifacts}
    narrow = {artifact.format: artifact.bytes for artifact in whole_build.result.artifacts}
    assert sizes["lite"] > 1.7 * narrow["lite"]
    assert narrow["lite"] < 1.1 * narrow["quantized"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "vgg"}, "no model 'vgg'"),
        ({"formats": ("gguf",)}, "no format 'gguf'"),
        ({"formats": ()}, "No format was named"),
        ({"engine": "tensorrt"}, "engine 'tensorrt' is not available"),
        ({"optimize": "max"}, "no way to optimize called 'max'"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_written(
    change: dict[str, object], words: str, tmp_path: Path
) -> None:
    request = BuildRequest(**dataclasses.asdict(ALL) | change)
    with pytest.raises(InvalidRequest, match=words):
        build.build_into(tmp_path / "out", request, Settings())
    assert not (tmp_path / "out").exists()


def replace_row(monkeypatch: pytest.MonkeyPatch, key: str, **changes: Any) -> None:
    monkeypatch.setitem(FORMATS, key, dataclasses.replace(FORMATS[key], **changes))


def fail(*_: object) -> None:
    raise ZeroDivisionError("nobody expected\nthis")


def test_a_format_that_is_not_available_is_listed_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: BuildRequest, few_pictures: None
) -> None:
    replace_row(monkeypatch, "quantized", probe=lambda: "Install what it needs: pip install x==1")
    result = build.build_into(tmp_path, two, Settings())
    assert [artifact.format for artifact in result.artifacts] == ["original", "scripted"]
    assert result.unbuilt == (Unbuilt("quantized", False, "Install what it needs: pip install x==1"),)
    assert read_result(tmp_path, two) == result


def test_where_nothing_of_it_is_available_the_build_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: BuildRequest, few_pictures: None
) -> None:
    replace_row(monkeypatch, "scripted", probe=lambda: "This torch lacks it.")
    with pytest.raises(FormatUnavailable, match="'scripted' is not available here. This torch lacks it"):
        build.build_into(tmp_path, small, Settings())


@pytest.mark.parametrize("stage", ["convert", "save", "load"])
def test_a_format_that_fails_shows_its_reason_and_the_others_go_on(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: BuildRequest, few_pictures: None
) -> None:
    replace_row(monkeypatch, "scripted", **{stage: fail})
    result = build.build_into(tmp_path, two, Settings())
    assert [artifact.format for artifact in result.artifacts] == ["original", "quantized"]
    assert [unbuilt.is_available for unbuilt in result.unbuilt] == [True]
    assert "ZeroDivisionError: nobody expected" in result.unbuilt[0].reason


def test_a_file_that_answers_otherwise_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: BuildRequest, few_pictures: None
) -> None:
    load = FORMATS["scripted"].load
    replace_row(monkeypatch, "scripted", load=lambda path: lambda picture: load(path)(picture).roll(1, 1))
    disagrees = {
        artifact.format: artifact.disagrees for artifact in build.build_into(tmp_path, two, Settings()).artifacts
    }
    assert disagrees == {"original": False, "scripted": True, "quantized": False}


@pytest.mark.parametrize(
    ("options", "levels"), [({}, False), ({"optimize": "tutorial"}, True), ({"engine": "x86"}, True)]
)
def test_only_files_for_phones_use_the_whole_range_of_int8(
    options: dict[str, str], levels: bool, small: BuildRequest, tmp_path: Path, few_pictures: None
) -> None:
    """x86 processors without VNNI overflow with it, and the tutorial's files never use it."""
    request = dataclasses.replace(small, formats=("quantized",), **options)
    build.build_into(tmp_path, request, Settings())
    (path,) = tmp_path.glob("*_scripted_quantized.pt")
    with deprecations_ignored():
        code = dict(torch.jit.load(path).named_modules())["blocks.0.mlp.fc1"].code
    assert bool(re.search(r"linear_dynamic\(x, \w+, True\)", code)) is levels


def test_a_full_disk_stops_the_build_and_leaves_no_manifest_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: BuildRequest, few_pictures: None
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    build.build_into(tmp_path, small, Settings())
    replace_row(monkeypatch, "scripted", save=no_space)
    with pytest.raises(StorageFailed, match="is full"):
        build.build_into(tmp_path, small, Settings())
    with pytest.raises(InvalidArtifact, match="holds no finished build"):
        build.read_result(tmp_path)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_weights_that_cannot_be_loaded_leave_an_earlier_build_alone(
    tmp_path: Path, small: BuildRequest, few_pictures: None
) -> None:
    built = build.build_into(tmp_path, small, Settings())
    with pytest.raises(InvalidCheckpoint):
        build.build_into(tmp_path, dataclasses.replace(small, weights="typo.pth"), Settings())
    assert read_result(tmp_path, small) == built


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"artifacts": 3}', '{"artifacts": [{"format": "x"}]}'])
def test_a_damaged_manifest_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / build.MANIFEST).write_text(text)
    with pytest.raises(InvalidArtifact, match="is damaged"):
        build.read_result(tmp_path)


def test_a_manifest_of_another_version_is_told(whole_build: WholeBuild, tmp_path: Path) -> None:
    data = json.loads((whole_build.folder / build.MANIFEST).read_text())
    data["artifacts"][1]["format"] = "from the future"
    for artifacts in (data["artifacts"], data["artifacts"][2:]):
        (tmp_path / build.MANIFEST).write_text(json.dumps(data | {"artifacts": artifacts}))
        with pytest.raises(InvalidArtifact, match="another version"):
            build.read_result(tmp_path)
