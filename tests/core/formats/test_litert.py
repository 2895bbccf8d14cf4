"""What is particular to the LiteRT files; what every format promises is in test_formats.py."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from deploy_core import build
from deploy_core.errors import FormatUnavailable, InvalidArtifact, InvalidRequest, JobFailed
from deploy_core.formats import FORMATS, format
from deploy_core.formats.litert import conversion, converter, inspection, running
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildRequest, BuildResult, Verdict
from tests.whole_build import WholeBuild

KEYS = ("litert", "litert_int8")


def artifact(key: str, whole_build: WholeBuild) -> Artifact:
    return next(artifact for artifact in whole_build.result.artifacts if artifact.format == key)


def test_float32_answers_as_the_original_and_int8_changes_no_answer(whole_build: WholeBuild) -> None:
    float32, int8 = (artifact(key, whole_build).proof for key in KEYS)
    assert float32
    assert float32.verdict is Verdict.SAME
    assert float32.cosine > 0.999999
    assert int8
    assert int8.verdict in (Verdict.SAME, Verdict.UNDECIDED)
    assert int8.cosine > 0.998


@pytest.mark.parametrize("key", KEYS)
def test_xnnpack_computes_all_of_it(key: str, whole_build: WholeBuild) -> None:
    delegation = artifact(key, whole_build).delegation
    assert delegation is not None
    assert delegation.percent == 100
    assert delegation.undelegated == ()


def test_what_xnnpack_leaves_to_the_runtime_is_told() -> None:
    def operator(index: int, name: str, source: int, answer: int) -> dict[str, object]:
        return {"index": index, "op_name": name, "inputs": [source], "outputs": [answer]}

    # A delegate took over the first and the last of three operators.
    operators = [operator(0, "ADD", 0, 1), operator(1, "CUMSUM", 1, 2), operator(2, "MUL", 2, 3)]
    delegates = [operator(3, running.DELEGATE, 0, 1), operator(4, running.DELEGATE, 2, 3)]
    assert running._undelegated([*operators, *delegates], [3]) == ["CUMSUM"]
    assert running._undelegated(operators, [3]) == ["MUL", "CUMSUM", "ADD"]


@pytest.mark.parametrize("key", KEYS)
def test_the_runtime_on_devices_has_every_operator(key: str, whole_build: WholeBuild) -> None:
    texts = [finding.text for finding in artifact(key, whole_build).findings if finding.holds]
    assert texts == [
        "LiteRT 2.3.0 has all operators in their versions that the file uses (15).",
        "The oldest runtime that has them all is TensorFlow Lite 2.9.0; every LiteRT is newer.",
    ]


def test_an_operator_that_the_runtime_lacks_is_told(whole_build: WholeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    without = frozenset(inspection.known_operators()) - {"GELU 1"}
    monkeypatch.setattr(inspection, "known_operators", lambda: without)
    (operators, _) = inspection.inspect(whole_build.path("litert"))
    assert not operators.holds
    assert operators.text == ("LiteRT 2.3.0 lacks 1 of the 15 operators in their versions that the file uses: GELU 1.")


@pytest.mark.parametrize("key", KEYS)
def test_a_file_for_one_picture_refuses_two_and_another_size(key: str, whole_build: WholeBuild) -> None:
    run = FORMATS[key].load(whole_build.path(key))
    with pytest.raises(InvalidRequest, match=r"demo.*\.tflite .*one picture at a time, not for 2"):
        run(torch.zeros(2, 3, 224, 224))
    with pytest.raises(RuntimeError, match="LiteRT"):
        run(torch.zeros(1, 3, 64, 64))
    assert run(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("damage", ["one byte short", "zeros", "another format"])
def test_damage_is_told_and_ends_no_process(key: str, damage: str, whole_build: WholeBuild, tmp_path: Path) -> None:
    whole = whole_build.path(key).read_bytes()
    path = tmp_path / whole_build.path(key).name
    damaged = {"one byte short": whole[:-1], "zeros": bytes(len(whole)), "another format": b"PK\3\4" + whole[4:]}
    path.write_bytes(damaged[damage])
    with pytest.raises(InvalidArtifact, match="is damaged or no LiteRT file"):
        FORMATS[key].load(path)


@pytest.mark.parametrize("key", KEYS)
def test_the_file_tells_no_paths_of_this_machine(key: str, whole_build: WholeBuild) -> None:
    data = whole_build.path(key).read_bytes()
    assert not [place for place in (b"site-packages", str(Path.cwd()).encode(), b"/tmp/") if place in data]


def test_only_the_linear_layers_are_int8(whole_build: WholeBuild) -> None:
    """The convolution of the patches holds 16 x 16 x 3 x 192 weights, which stay float32."""
    sizes = {key: whole_build.path(key).stat().st_size for key in KEYS}
    assert sizes["litert_int8"] < 0.31 * sizes["litert"]
    assert sizes["litert_int8"] - sizes["litert"] // 4 > 16 * 16 * 3 * 192 * 4


def test_a_package_of_another_version_is_told_with_the_one_command_that_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = FORMATS["litert"]
    installed: dict[str, str | None] = {**row.packages, "jax": "0.9.1", "litert-torch": None}
    monkeypatch.setattr(format, "_version", installed.get)
    told = "Install what it needs (here are jax 0.9.1): pip install --no-deps -r requirements-litert.txt"
    assert row.probe() == row.missing_packages() == told
    installed["jax"] = None
    assert row.probe() == "Install what it needs: pip install --no-deps -r requirements-litert.txt"


def test_a_conversion_that_takes_too_long_costs_its_own_rows_only(
    pets: Path, tmp_path: Path, few_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "LONGEST_SECONDS", 0.01)
    result = built(pets, tmp_path)
    assert [artifact.format for artifact in result.artifacts] == ["original", "scripted"]
    (first, second) = result.unbuilt
    assert first.is_available
    assert "The conversion to LiteRT took longer than 0 minutes. Try again" in first.reason
    assert second.reason == first.reason


def built(model: Path, folder: Path) -> BuildResult:
    return build.build_into(folder, BuildRequest(str(model), "pretrained", ("scripted", *KEYS)), Settings())


@pytest.mark.parametrize("status", [converter.OUT_OF_MEMORY, -signal.SIGKILL])
def test_a_conversion_without_memory_is_a_sentence(status: int) -> None:
    with pytest.raises(FormatUnavailable, match=r"ran out of memory\. Give the app more memory, or choose a smaller"):
        conversion._require_success(status, "")


def test_a_converter_without_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Path) -> None:
        raise MemoryError

    verbs: dict[str, Callable[[Path, Path], None]] = {"convert": full}
    monkeypatch.setattr(converter, "VERBS", verbs)
    monkeypatch.setattr(converter, "FIRST_TO_END", "0")
    monkeypatch.setattr("sys.argv", ["converter", "convert", "from", "to"])
    assert converter.main() == converter.OUT_OF_MEMORY


def test_a_converter_that_fails_is_a_sentence_with_its_last_words() -> None:
    with pytest.raises(JobFailed, match=r"The conversion to LiteRT failed \(.*No such file.*\)\. The server's log has"):
        conversion._converted("quantize", lambda _: None, ".tflite")
