"""A fine-tuned ViT of transformers goes from its folder to a bundle, and what is assumed goes with a bare file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from safetensors.torch import save_file

from deploy_core import build
from deploy_core.models import load
from deploy_core.models.own import assumptions, bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from tests import own_model
from tests.core.cli.test_command_line import run_json
from tests.own_models import corpus


@pytest.mark.filterwarnings("ignore")
def test_three_commands_make_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str], few_pictures: None) -> None:
    folder = corpus._transformers(corpus.VIT, corpus.SQUASH)(tmp_path).path
    brought = run_json(capsys, "import", str(folder), "--out", str(tmp_path / "models"))
    assert brought["assumed"] == []
    built = tmp_path / "files"
    run_json(capsys, "build", "--model", brought["file"], "--formats", "original", "--out", str(built))
    bundled = run_json(capsys, "bundle", str(built / "pets.safetensors"))
    with zipfile.ZipFile(bundled["bundle"]) as archive:
        assert archive.read("labels.txt").decode().split() == [*corpus.LABELS]
        assert "part.eps = 1e-12" in archive.read("python/use.py").decode()
        assert "assumed" not in archive.read("README.md").decode()


def test_what_is_assumed_is_written_down_until_a_person_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], few_pictures: None
) -> None:
    save_file(own_model.state(), tmp_path / "bare.safetensors")
    brought = run_json(capsys, "import", str(tmp_path / "bare.safetensors"), "--out", str(tmp_path / "models"))
    assert len(brought["assumed"]) == 4
    assert "ImageNet's mean and deviation (or -1 to 1, 0 to 1)" in brought["assumed"][0]
    spec = load.find(brought["file"])
    built = tmp_path / "files"
    run_json(capsys, "build", "--model", brought["file"], "--formats", "original", "--out", str(built))
    assert build.read_result(built).assumed == assumptions.sentences(spec)
    bundled = run_json(capsys, "bundle", str(built / "bare.safetensors"))
    with zipfile.ZipFile(bundled["bundle"]) as archive:
        assert archive.read("README.md").decode().count("assumed, nothing says it") == 4
    assert spec.file
    for topic in [*assumptions.assumed(spec).values()]:
        spec = bring.correct(spec.file or Path(), Settings(), topic.keep(spec))
    assert spec.assumed == ()


def test_an_alternative_is_one_correction(tmp_path: Path) -> None:
    save_file(own_model.state(), tmp_path / "bare.safetensors")
    spec = bring.bring(tmp_path / "bare.safetensors", tmp_path / "models", Settings())
    [mean] = assumptions.alternatives(spec, assumptions.TOPICS["pooling"])
    assert mean.corrections == Corrections(pooling="avg")
    assert spec.file
    changed = bring.correct(spec.file, Settings(), mean.corrections)
    assert changed.architecture
    assert (changed.architecture.kind.pooling, "pooling" in changed.assumed) == ("avg", False)
