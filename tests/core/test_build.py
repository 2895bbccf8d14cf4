from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from deploy_core import build, files
from deploy_core.errors import FormatUnavailable, InvalidArtifact, InvalidCheckpoint, InvalidRequest
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult, Event

ALL = BuildRequest("demo", "pretrained", tuple(FORMATS))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult, list[Event]]:
    folder = tmp_path_factory.mktemp("build") / "made" / "on demand"
    events: list[Event] = []
    return folder, build.build(ALL, folder, Settings(), events.append), events


def test_the_result_tells_the_truth_about_the_files(built: tuple[Path, BuildResult, list[Event]]) -> None:
    folder, result, _ = built
    assert [artifact.format for artifact in result.artifacts] == list(FORMATS)
    for artifact in result.artifacts:
        path = folder / artifact.file
        assert artifact.bytes == path.stat().st_size
        assert artifact.sha256 == files.sha256(path)
        assert artifact.seconds > 0
        assert artifact.same_top1
        assert 0.99 < artifact.cosine <= 1 + 1e-9
    assert {path.name for path in folder.iterdir()} == {a.file for a in result.artifacts} | {build.MANIFEST}
    assert build.read_result(folder) == result


def test_float_formats_answer_exactly_and_int8_nearly(built: tuple[Path, BuildResult, list[Event]]) -> None:
    differences = {artifact.format: artifact.max_abs_difference for artifact in built[1].artifacts}
    assert differences["original"] == 0
    assert differences["scripted"] < 1e-4
    assert 0 < differences["lite"] < 1


def test_progress_is_steady_and_ends_at_the_end(built: tuple[Path, BuildResult, list[Event]]) -> None:
    events = built[2]
    assert [event.done for event in events] == list(range(events[0].total + 1))
    assert events[-1].message == "Done"


def test_an_archive_carries_the_files_own_name(built: tuple[Path, BuildResult, list[Event]]) -> None:
    for path in built[0].glob("*.pt"):
        with zipfile.ZipFile(path) as archive:
            assert {name.split("/")[0] for name in archive.namelist()} == {path.stem}


def test_x86_doubles_the_lite_file_and_qnnpack_does_not(
    built: tuple[Path, BuildResult, list[Event]], tmp_path: Path
) -> None:
    wide = build.build(dataclasses.replace(ALL, formats=("lite",), engine="x86"), tmp_path, Settings())
    sizes = {artifact.format: artifact.bytes for artifact in wide.artifacts}
    narrow = {artifact.format: artifact.bytes for artifact in built[1].artifacts}
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
        build.build(request, tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_not_available_here_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(FORMATS["lite"], probe=lambda: "This torch lacks it.")
    monkeypatch.setitem(FORMATS, "lite", row)
    with pytest.raises(FormatUnavailable, match="'lite' is not available here. This torch lacks it"):
        build.build(ALL, tmp_path, Settings())


def test_a_build_that_fails_leaves_no_manifest_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    build.build(dataclasses.replace(ALL, formats=("scripted",)), tmp_path, Settings())
    monkeypatch.setitem(FORMATS, "scripted", dataclasses.replace(FORMATS["scripted"], build=fail))
    with pytest.raises(ZeroDivisionError):
        build.build(dataclasses.replace(ALL, formats=("scripted",)), tmp_path, Settings())
    with pytest.raises(InvalidArtifact, match="holds no finished build"):
        build.read_result(tmp_path)


def test_weights_that_cannot_be_loaded_leave_an_earlier_build_alone(tmp_path: Path) -> None:
    request = dataclasses.replace(ALL, formats=("scripted",))
    built = build.build(request, tmp_path, Settings())
    with pytest.raises(InvalidCheckpoint):
        build.build(dataclasses.replace(request, weights="typo.pth"), tmp_path, Settings())
    assert build.read_result(tmp_path) == built


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"artifacts": 3}', '{"artifacts": [{"format": "x"}]}'])
def test_a_damaged_manifest_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / build.MANIFEST).write_text(text)
    with pytest.raises(InvalidArtifact, match="is damaged"):
        build.read_result(tmp_path)


def test_a_manifest_of_another_version_is_told(built: tuple[Path, BuildResult, list[Event]], tmp_path: Path) -> None:
    data = json.loads((built[0] / build.MANIFEST).read_text())
    data["artifacts"][1]["format"] = "from the future"
    for artifacts in (data["artifacts"], data["artifacts"][2:]):
        (tmp_path / build.MANIFEST).write_text(json.dumps(data | {"artifacts": artifacts}))
        with pytest.raises(InvalidArtifact, match="another version"):
            build.read_result(tmp_path)
