"""Corrections by a person, and the values that they replace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from deploy_core import embedded
from deploy_core.errors import InvalidRequest
from deploy_core.inference import classify
from deploy_core.models import load
from deploy_core.models.own import bring, card, told
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from tests.own_model import SHAPE, TRAINED, model_file

PICTURE = str(embedded.SAMPLES / "chelsea.png")


@pytest.mark.parametrize(
    ("corrections", "words"),
    [
        (Corrections(size=60), "60 pixels are not a whole number of patches. Give a multiple of 8."),
        (Corrections(size=999_936), "can be 1 to"),
        (Corrections(size=408), "408 pixels has 2601 patches, and the limit is 2500. Give an input of at most 400"),
        (Corrections(heads=7), "cannot be divided by 7 heads"),
        (Corrections(heads=-1), "Its heads would be -1"),
        (Corrections(resize=16), "has no center of 32"),
        (Corrections(normalization="odd"), "no normalization 'odd'"),
        (Corrections(labels=("one",)), "There are 1 labels, and My Pets.pth has 3 classes."),
    ],
)
def test_corrections_that_contradict_the_checkpoint_are_refused(
    checkpoint: Path, tmp_path: Path, corrections: Corrections, words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model_file(checkpoint, checkpoint.name, tmp_path / "out", Settings(), corrections)
    assert words in str(caught.value)


def test_what_a_config_leaves_open_is_as_in_timm() -> None:
    picture = told.of_timm(config({"crop_mode": None, "interpolation": None, "crop_pct": None})).picture
    assert picture
    assert (picture.crop_mode, picture.interpolation) == ("center", "bicubic")


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"crop_mode": "border"}, "crop mode 'border'"), ({"interpolation": "random"}, "interpolation 'random'")],
)
def test_preprocessing_that_cannot_be_done_here_is_refused(
    changed: dict[str, str], words: str, checkpoint: Path, tmp_path: Path
) -> None:
    (checkpoint.parent / "config.json").write_text(json.dumps(config(changed)))
    with pytest.raises(InvalidRequest, match=words):
        model_file(checkpoint, checkpoint.name, tmp_path, Settings())


def config(changed: dict[str, Any]) -> dict[str, Any]:
    arguments = {"embed_dim": 64, "depth": 2, "num_heads": 1, "patch_size": 8}
    return {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": TRAINED | changed}


def test_corrections_can_be_undone(model: Path) -> None:
    brought = load.load(str(model), "pretrained", Settings()).module.state_dict()
    for size in (64, 32):
        bring.correct(model, Settings(), Corrections(size=size))
    again = load.load(str(model), "pretrained", Settings()).module.state_dict()
    assert all(torch.equal(again[key], brought[key]) for key in brought)
    assert [path.name for path in model.parent.iterdir()] == [model.name]


def test_a_corrected_size_interpolates_the_positions_and_keeps_the_rest(checkpoint: Path, tmp_path: Path) -> None:
    corrections = Corrections(
        size=64, heads=1, resize=80, crop_mode="squash", normalization="-1 to 1", labels=("x", "y", "z")
    )
    path = model_file(checkpoint, "bigger", tmp_path, Settings(), corrections)
    spec = load.find(str(path))
    how = spec.preprocessing
    assert (how.crop, how.resize, how.crop_mode, how.mean) == (64, 80, "squash", (0.5, 0.5, 0.5))
    assert "pictures squashed" in card.describe(spec)
    module = load.load(str(path), "pretrained", Settings()).module
    assert module.state_dict()["pos_embed"].shape == (1, 1 + 64, SHAPE.width)
    assert spec.parameters == sum(value.numel() for value in module.parameters())
    answer = classify.open_model(str(path), "pretrained", Settings()).classify(PICTURE, Settings())
    assert answer.top[0].label == "y"
