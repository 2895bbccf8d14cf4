"""One set of promises, kept by every row of FORMATS."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from deploy_core.errors import DeployError, InvalidArtifact, InvalidRequest
from deploy_core.formats import FORMATS, ORIGINAL, Format, Workbench, by_filename, engines, in_build_order
from deploy_core.inference import views
from deploy_core.inference.differences import difference
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildResult, Seconds
from tests import proofs
from tests.whole_build import RUN_HERE, WholeBuild


def make(row: Format, bench: Workbench, path: Path) -> None:
    bench.results[row.key] = row.convert(bench)
    row.save(bench, bench.results[row.key], path)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load.load("demo", "pretrained", Settings())


@pytest.fixture(scope="module")
def picture(model: LoadedModel) -> torch.Tensor:
    return views.first_input(model.spec, Settings())


@pytest.fixture(scope="module")
def built(whole_build: WholeBuild) -> dict[str, Path]:
    return {key: whole_build.path(key) for key in FORMATS}


@pytest.mark.parametrize("key", RUN_HERE)
def test_a_file_read_back_answers_as_the_original(
    key: str, built: dict[str, Path], model: LoadedModel, picture: torch.Tensor
) -> None:
    with torch.inference_mode():
        expected, answer = model.module(picture)[0], FORMATS[key].load(built[key])(picture)[0]
    found = difference(expected, answer)
    assert not found.is_flipped
    assert found.cosine >= FORMATS[key].least_cosine


@pytest.mark.parametrize("key", FORMATS)
def test_a_file_name_tells_its_format(key: str, built: dict[str, Path]) -> None:
    assert by_filename(built[key]) is FORMATS[key]


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage"])
def test_a_damaged_file_is_told(key: str, damage: str, built: dict[str, Path], tmp_path: Path) -> None:
    whole = built[key].read_bytes()
    path = tmp_path / built[key].name
    path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "garbage": b"\x80garbage" * 1000}[damage])
    with pytest.raises(DeployError, match=r"is damaged"):
        (FORMATS[key].load if FORMATS[key].runs_here else FORMATS[key].inspect)(path)


@pytest.mark.parametrize("key", FORMATS)
def test_every_row_says_what_people_ask(key: str) -> None:
    row = FORMATS[key]
    assert row.key == key
    assert row.title
    assert row.summary.endswith(".")
    assert row.probe() is None
    assert row.needs is None or row.needs in FORMATS
    assert set(row.options) <= {"engine", "optimize"}
    assert None not in row.versions().values()
    assert row.missing_packages() is None


@pytest.mark.parametrize("key", FORMATS)
def test_a_package_to_install_is_the_one_that_is_pinned(key: str) -> None:
    files = Path(__file__).parents[3].glob("requirements*.txt")
    pinned = {line for file in files for line in file.read_text().splitlines()}
    assert [
        f"{name}=={version}" for name, version in FORMATS[key].packages.items() if f"{name}=={version}" not in pinned
    ] == []


def test_a_missing_package_is_told_with_the_command_that_installs_it() -> None:
    row = dataclasses.replace(ORIGINAL, packages={"torch": "2.12.1", "no-such-package": "1.2"})
    assert row.missing_packages() == "Install what it needs: pip install no-such-package==1.2"


@pytest.mark.parametrize("key", FORMATS)
def test_the_words_on_what_a_step_did_follow_the_numbers(key: str) -> None:
    def artifact(key: str, size: int) -> Artifact:
        return Artifact(key, "f", size, "0", Seconds(1, 1, 1), proofs.SAME, False, None, ())

    others = [artifact(other, 1500 if other == key else 500) for other in FORMATS]
    result = BuildResult("demo", "pretrained", "qnnpack", "default", (artifact("original", 1000), *others[1:]), ())
    text = FORMATS[key].effect(result)
    assert text.endswith(".")
    assert key == "original" or "3.0 times the bytes" in text or "150 % of the bytes" in text
    alone = dataclasses.replace(result, artifacts=())
    assert FORMATS[key].effect(alone).endswith(".")


def test_int8_files_are_a_quarter_of_the_weights(built: dict[str, Path]) -> None:
    original = built["original"].stat().st_size
    for key, row in FORMATS.items():
        if row.is_int8:
            assert built[key].stat().st_size < 0.36 * original


def test_the_tutorials_file_names() -> None:
    assert [row.filename("m") for row in FORMATS.values()][:5] == [
        "m.safetensors",
        "m_scripted.pt",
        "m_scripted_quantized.pt",
        "m_optimized_scripted_quantized.pt",
        "m_optimized_scripted_quantized_lite.ptl",
    ]


def test_the_default_leaves_the_slow_pass_out_and_the_tutorials_way_has_it(pets: Path, tmp_path: Path) -> None:
    model = load.load(str(pets), "pretrained", Settings())
    graphs = {}
    for way in ("default", "tutorial"):
        bench = Workbench(model, "qnnpack", way)
        for key in ("quantized", "optimized"):
            make(FORMATS[key], bench, tmp_path / f"{way}_{key}.pt")
        graphs[way] = str(bench.results["optimized"].graph)
    assert "prepacked::conv2d_clamp_run" in graphs["tutorial"]
    assert "prepacked::" not in graphs["default"]


def test_the_lite_file_is_read_by_the_lite_interpreter(built: dict[str, Path]) -> None:
    assert type(FORMATS["lite"].load(built["lite"])).__name__ == "LiteScriptModule"


def test_what_a_format_needs_is_built_before_it() -> None:
    keys = [row.key for row in in_build_order(["lite"])]
    assert keys == ["original", "quantized", "optimized", "lite"]
    everything = list(FORMATS)
    for row in FORMATS.values():
        assert row.needs is None or everything.index(row.needs) < everything.index(row.key)


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidRequest, match="no format 'pickle'.*scripted"):
        in_build_order(["pickle"])


def test_an_unknown_file_is_refused() -> None:
    with pytest.raises(InvalidArtifact, match=r"notes\.txt is no artifact"):
        by_filename(Path("notes.txt"))
    assert by_filename(Path("renamed.ptl")) is FORMATS["lite"]
    assert by_filename(Path("renamed.pt")) is FORMATS["scripted"]


def test_a_foreign_checkpoint_is_no_artifact(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InvalidArtifact, match="does not say which model they belong to"):
        ORIGINAL.load(tmp_path / "foreign.safetensors")


def test_the_engine_switch_is_put_back_also_after_an_error() -> None:
    before = torch.backends.quantized.engine
    with pytest.raises(ZeroDivisionError), engines.using("qnnpack"):
        assert torch.backends.quantized.engine == "qnnpack"
        raise ZeroDivisionError
    assert torch.backends.quantized.engine == before


def test_an_unsupported_engine_is_refused_with_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="qnnpack"):
        engines.require_build_engine("tensorrt")
    monkeypatch.setattr(engines, "supported", lambda: ("qnnpack", "onednn"))
    with pytest.raises(InvalidRequest, match="'x86' is not available here"):
        engines.require_build_engine("x86")
