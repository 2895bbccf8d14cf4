"""Files for Core ML: nothing runs them here, so their weights are read back and an interpreter answers."""

from __future__ import annotations

import copy
import dataclasses
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deploy_core import build
from deploy_core.bundle.check import verify
from deploy_core.errors import FormatUnavailable, InvalidArtifact
from deploy_core.formats import FORMATS, Workbench, by_filename
from deploy_core.formats import format as format_module
from deploy_core.formats.coreml import conversion, inspection, package, reading
from deploy_core.formats.coreml import rows as coreml_rows
from deploy_core.formats.executorch import rows as executorch_rows
from deploy_core.formats.format import Reading, other_version
from deploy_core.inference import classify, proof_words, read_back
from deploy_core.inference.classify import Classifier
from deploy_core.inference.proof import Reference
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.settings import Settings
from deploy_core.storage.bundles import bundle_file
from deploy_core.types import BuildRequest
from tests.whole_build import WholeBuild

PACKAGES = ("coreml", "coreml_int8")
KEYS = (*PACKAGES, "executorch_coreml")


@pytest.fixture(scope="module")
def model(pets: Path) -> LoadedModel:
    return load.load(str(pets), "pretrained", Settings())


@pytest.fixture(scope="module")
def made(model: LoadedModel) -> package.Package:
    return conversion.convert(Workbench(model, "qnnpack", "default"))


@pytest.fixture
def file(made: package.Package, tmp_path: Path) -> Path:
    package.write(made, tmp_path / "pets_coreml.mlpackage.zip")
    return tmp_path / "pets_coreml.mlpackage.zip"


@pytest.mark.parametrize("key", KEYS)
def test_the_embedded_models_weights_are_read_back_and_an_interpreter_agrees(key: str, whole_build: WholeBuild) -> None:
    artifact = next(artifact for artifact in whole_build.result.artifacts if artifact.format == key)
    found = artifact.read_back
    assert found is not None
    assert (artifact.proof, artifact.disagrees) == (None, False)
    assert found.operators["linear"] == 50
    assert found.weights.tensors == 155
    assert found.weights.folded == ()
    assert found.weights.holds
    assert (found.weights.largest_error > 0.5) == (key == "coreml_int8")
    assert not found.is_flipped
    assert found.cosine > (0.999 if key == "coreml_int8" else 0.999999)
    assert all(finding.holds for finding in artifact.findings)
    text = " ".join(proof_words.file_sentences(artifact))
    assert "Core ML itself did not run" in text
    assert ("ExecuTorch did not run either" in text) == (key == "executorch_coreml")
    assert proof_words.of_file(artifact) == "built here, not run here"


def test_a_package_is_half_of_the_original_and_its_int8_twin_a_quarter(whole_build: WholeBuild) -> None:
    original, half, quarter = (whole_build.path(key).stat().st_size for key in ("original", *PACKAGES))
    assert half < 0.51 * original
    assert quarter < 0.27 * original


def test_core_ml_computes_the_whole_executorch_program(whole_build: WholeBuild) -> None:
    artifact = next(one for one in whole_build.result.artifacts if one.format == "executorch_coreml")
    assert artifact.delegation is not None
    assert (artifact.delegation.percent, artifact.delegation.undelegated) == (100, ())


@pytest.mark.parametrize("key", KEYS)
def test_a_file_that_does_not_run_here_says_so(key: str, whole_build: WholeBuild) -> None:
    with pytest.raises(FormatUnavailable, match="is built here, not run here"):
        classify.open_artifact(whole_build.path(key), "demo", "pretrained")


def test_a_bundle_states_the_originals_answer_and_verify_says_that_it_cannot_ask(
    whole_build: WholeBuild, tmp_path: Path
) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    for name in (build.MANIFEST, whole_build.path("original").name, whole_build.path("coreml").name):
        shutil.copy(whole_build.folder / name, folder)
    bundle = bundle_file(folder / whole_build.path("coreml").name, Settings())
    with zipfile.ZipFile(bundle) as archive:
        readme, code = archive.read("README.md").decode(), archive.read("ios/Classifier.swift").decode()
        assert "ios/ClassifierTests.swift" in archive.namelist()
    assert "built here, not run here" in readme
    assert "what the original answered to it in PyTorch" in readme
    assert "iOS 16" in code
    with pytest.raises(FormatUnavailable, match="Core ML files are built here, not run here"):
        verify(bundle, Settings())


def test_equal_models_give_equal_bytes(model: LoadedModel, made: package.Package, tmp_path: Path, file: Path) -> None:
    again = tmp_path / "again" / file.name
    again.parent.mkdir()
    package.write(conversion.convert(Workbench(model, "qnnpack", "default")), again)
    assert again.read_bytes() == file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"pets_coreml.mlpackage"}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_another_models_weights_do_not_hold(model: LoadedModel, file: Path) -> None:
    weights = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    weights["blocks.1.mlp.fc2.weight"][3, 5] += 0.01
    stranger = SimpleNamespace(state_dict=lambda: weights)
    found = reading.read_back(file, stranger)  # type: ignore[arg-type]
    assert not found.weights.holds
    assert reading.read_back(file, model.module).weights.holds


def test_equal_tensors_which_the_file_keeps_once_are_found(model: LoadedModel, tmp_path: Path) -> None:
    twins = dataclasses.replace(model, module=copy.deepcopy(model.module))
    for name, tensor in twins.module.state_dict().items():
        if name.endswith("bias"):
            tensor.zero_()
    path = tmp_path / "pets_coreml.mlpackage.zip"
    package.write(conversion.convert(Workbench(twins, "qnnpack", "default")), path)
    found = reading.read_back(path, twins.module).weights
    assert found.holds
    assert found.tensors == len(twins.module.state_dict())


def test_a_file_that_changes_the_answer_disagrees(model: LoadedModel, file: Path) -> None:
    labels = model.labels
    reference = Reference(Classifier(model.spec, "pretrained", labels, model.module), Settings())

    def turned(path: Path, module: torch.nn.Module) -> Reading:
        found = reading.read_back(path, module)
        return dataclasses.replace(found, run=lambda pictures: -10 * found.run(pictures))

    assert not read_back.check(reading.read_back, file, reference).changes_answer
    assert read_back.check(turned, file, reference).changes_answer


def test_an_operator_that_cannot_be_evaluated_is_told(
    model: LoadedModel, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVALUATED_HERE", {})
    found = reading.read_back(file, model.module)
    with pytest.raises(InvalidArtifact, match="holds the operator conv, which coremltools cannot evaluate"):
        found.run(torch.zeros(1, 3, 32, 32))


def test_float16_keeps_what_its_half_step_allows() -> None:
    held = reading._Held(np.array([1.0, 2.0], dtype=np.float16), np.zeros((), dtype=np.float32))
    assert held.error(np.array([1.0004, 2.0009], dtype=np.float32)) <= 1
    assert held.error(np.array([1.0, 2.0012], dtype=np.float32)) > 1


def test_a_package_for_newer_systems_is_told(made: package.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(finding.holds for finding in inspection.inspect_package(made, "pets"))
    monkeypatch.setattr(inspection, "SPECIFICATIONS", range(1, 7))
    specification = inspection.inspect_package(made, "pets")[0]
    assert specification.text == "Specification version 7: not read by Core ML of iOS 16 and macOS 13 (1 to 6)."


@pytest.mark.parametrize("probe", [coreml_rows.probe, executorch_rows.coreml_probe])
def test_another_coremltools_is_told_with_the_command_that_installs_the_right_one(
    probe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(probe)
    assert probe() is None
    monkeypatch.setattr(
        "deploy_core.formats.format._version",
        lambda name, usual=format_module._version: "8.3" if name == "coremltools" else usual(name),
    )
    assert probe() == "It needs coremltools 9.0, and 8.3 is installed: pip install coremltools==9.0"
    assert other_version("no-such-package", "1.0") is None


def test_a_conversion_that_fails_leaves_the_other_formats_alone(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Workbench) -> None:
        raise RuntimeError("no such operator")

    for key in ("coreml", "coreml_int8"):
        monkeypatch.setitem(FORMATS, key, dataclasses.replace(FORMATS[key], convert=fail))
    result = build.build_into(tmp_path, BuildRequest(str(pets), "pretrained", (*PACKAGES, "scripted")), Settings())
    assert [artifact.format for artifact in result.artifacts] == ["original", "scripted"]
    assert [unbuilt.format for unbuilt in result.unbuilt] == list(PACKAGES)
    assert "The conversion failed (RuntimeError: no such operator)" in result.unbuilt[0].reason


def test_file_names_tell_the_formats_apart() -> None:
    for key in KEYS:
        assert by_filename(Path(FORMATS[key].filename("deit_tiny"))).key == key
