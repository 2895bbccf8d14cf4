"""What the header of a model file says, and forged headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from deploy_core import embedded, settings
from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.models import checkpoints, load
from deploy_core.models.own import card
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from tests.own_model import model_file, state

PICTURE = str(embedded.SAMPLES / "chelsea.png")


def test_a_model_file_of_an_earlier_version_has_its_center_cut_out(model: Path) -> None:
    document = json.loads(card.header(load.find(str(model))))
    del document["preprocessing"]["crop_mode"]
    save_file(load_file(model), model, metadata={card.MODEL_KEY: json.dumps(document)})
    assert load.find(str(model)).preprocessing.crop_mode == "center"


def hostile_cards(model: Path) -> Iterator[tuple[str, str]]:
    document = json.loads(card.header(load.find(str(model))))
    yield "no JSON", "{"
    yield "a list", "[]"
    yield "deep", "[" * 99_999
    yield "half", json.dumps({"name": "x"})
    for name, value in [("depth", 10**9), ("heads", 0), ("width", -64), ("family", "../x"), ("classes", 10**9)]:
        yield name, json.dumps(document | {"architecture": document["architecture"] | {name: value}})
    yield "labels", json.dumps(document | {"labels": ["a"]})
    yield "crop", json.dumps(document | {"preprocessing": document["preprocessing"] | {"resize": 10**9}})
    for name, value in [("interpolation", "EXEC"), ("crop_mode", "border")]:
        yield name, json.dumps(document | {"preprocessing": document["preprocessing"] | {name: value}})
    yield "std", json.dumps(document | {"preprocessing": document["preprocessing"] | {"std": [0, 0, 0]}})


def test_a_forged_model_file_is_refused(model: Path) -> None:
    tensors = load_file(model)
    for name, text in hostile_cards(model):
        save_file(tensors, model, metadata={card.MODEL_KEY: text})
        with pytest.raises(InvalidCheckpoint, match="does not say which model it holds"):
            load.load(str(model), "pretrained", Settings())
            pytest.fail(name)
    with pytest.raises(InvalidCheckpoint, match="There is no model file gone.safetensors"):
        load.find("/nowhere/gone.safetensors")
    assert settings.load().default_model == "demo"


def header_of(size: int) -> bytes:
    """A safetensors file with a header of ``size`` bytes, and valid otherwise."""
    note = {"__metadata__": {"note": ""}}
    note["__metadata__"]["note"] = "x" * (size - len(json.dumps(note)))
    text = json.dumps(note).encode()
    return len(text).to_bytes(8, "little") + text


def test_a_header_larger_than_any_models_is_refused_before_it_is_read(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.safetensors"
    bomb.write_bytes(header_of(2 * checkpoints.LARGEST_HEADER))
    words = "The header of bomb.safetensors has 8 MB, and the limit is 4 MB"
    for use in (
        lambda: model_file(bomb, bomb.name, tmp_path / "out", Settings()),
        lambda: card.read(bomb),
        lambda: checkpoints.read(bomb),
        lambda: load.find(str(bomb)),
    ):
        with pytest.raises(InvalidCheckpoint, match=words):
            use()
    bomb.write_bytes(header_of(checkpoints.LARGEST_HEADER))
    with pytest.raises(InvalidCheckpoint, match="does not hold a model"):
        model_file(bomb, bomb.name, tmp_path / "out", Settings())


def test_labels_that_would_make_such_a_header_are_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "pets.safetensors"
    save_file(state(), checkpoint)
    long = tuple("\N{CAT}" * 200 for _ in range(3))
    model_file(checkpoint, "pets", tmp_path, Settings(), Corrections(labels=long))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InvalidRequest, match="The labels are too long"):
        patch.setattr(card, "TENSORS_BYTES", checkpoints.LARGEST_HEADER)
        model_file(checkpoint, "pets", tmp_path, Settings(), Corrections(labels=long))
