"""A fine-tuned checkpoint becomes a model file, goes through every step, and bad checkpoints are refused."""

from __future__ import annotations

import gc
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import save_file

from deploy_core import build, embedded, settings
from deploy_core.bundle import check
from deploy_core.errors import InvalidCheckpoint
from deploy_core.inference import classify
from deploy_core.models import catalogue, load
from deploy_core.models.own import bring, card
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
from tests.core.cli.test_command_line import refused, run_json
from tests.own_model import LABELS, SHAPE, model_file, state

PICTURE = str(embedded.SAMPLES / "chelsea.png")


def test_a_checkpoint_becomes_a_model_file_with_all_of_a_spec(model: Path) -> None:
    spec = load.find(str(model))
    assert model.name == "my_pets.safetensors"
    assert (spec.name, spec.title, spec.architecture) == ("my_pets", "My Pets", SHAPE)
    assert catalogue.labels(spec) == LABELS
    assert spec.parameters == sum(value.numel() for value in state().values())
    assert not spec.is_embedded
    classifier = classify.open_model(str(model), "pretrained", Settings())
    answer = classifier.classify(PICTURE, Settings())
    assert answer.top[0].label == LABELS[1]
    assert len(answer.top) == len(LABELS)


def test_the_original_of_a_catalogue_model_keeps_its_labels_and_preprocessing(
    tmp_path: Path, few_pictures: None
) -> None:
    limits = replace(settings.load(), home=tmp_path)
    build.build_into(tmp_path, BuildRequest("demo", "pretrained", ("original",)), limits)
    [original] = tmp_path.glob("demo*.safetensors")
    brought = load.find(str(model_file(original, original.name, tmp_path / "models", limits)))
    assert catalogue.labels(brought) == catalogue.labels(load.find("demo"))
    assert brought.preprocessing == load.find("demo").preprocessing


def test_a_header_that_names_a_catalogue_model_of_other_classes_is_not_believed(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "mine.safetensors", metadata={card.MODEL_KEY: "deit_base_patch16_224"})
    brought = load.find(str(model_file(tmp_path / "mine.safetensors", "mine.safetensors", tmp_path, Settings())))
    assert catalogue.labels(brought)[:2] == ("class 0", "class 1")


def test_it_goes_through_build_and_bundle_and_keeps_its_labels(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], few_pictures: None
) -> None:
    folder = tmp_path / "build"
    keys = ("scripted", "onnx_int8")
    result = build.build_into(folder, BuildRequest(str(model), "pretrained", keys), Settings())
    model.unlink()
    assert {artifact.format for artifact in result.artifacts} >= {"original", *keys}
    read = build.read_result(folder)
    assert load.find(read.model).own_labels == LABELS
    for artifact in read.artifacts:
        assert not artifact.disagrees
        answer = classify.open_artifact(folder / artifact.file, read.model, "pretrained").classify(PICTURE, Settings())
        assert (answer.model, answer.top[0].label) == ("my_pets", LABELS[1])
    bundled = run_json(capsys, "bundle", str(folder / "my_pets_int8.onnx"))
    with zipfile.ZipFile(bundled["bundle"]) as archive:
        assert archive.read("labels.txt").decode().split() == list(LABELS)
        assert json.loads(archive.read("expected.json"))["top"][0]["label"] == LABELS[1]
        assert "this project distilled" not in archive.read("README.md").decode().lower()
    assert check.verify(Path(bundled["bundle"]), Settings()).holds


def test_the_command_line_imports_and_answers(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("eins\nzwei\ndrei\n")
    document = run_json(capsys, "import", str(checkpoint), "--labels", str(names), "--out", str(tmp_path / "out"))
    assert document["labels"] == ["eins", "zwei", "drei"]
    assert document["architecture"]["patch"] == SHAPE.patch
    answer = run_json(capsys, "classify", PICTURE, "--model", document["file"])
    assert answer["top"][0]["label"] == "zwei"
    again = run_json(capsys, "classify", PICTURE, "--artifact", document["file"])
    assert again["top"] == answer["top"]
    options = ("--normalization=-1 to 1", "--resize", "40", "--crop-mode=squash", "--out", str(tmp_path / "corrected"))
    how = run_json(capsys, "import", str(checkpoint), *options)["preprocessing"]
    assert (how["mean"], how["resize"], how["crop_mode"]) == ([0.5, 0.5, 0.5], 40, "squash")
    assert "no normalization 'odd'" in refused(capsys, "import", str(checkpoint), "--normalization", "odd")
    assert "cannot be read" in refused(capsys, "import", str(checkpoint), "--labels", str(tmp_path / "none.txt"))


def test_what_is_made_of_a_visitors_model_is_the_visitors_alone(
    checkpoint: Path, limits: Settings, few_pictures: None
) -> None:
    owners = ("a" * 32, "b" * 32)
    request = None
    store = Store(limits)
    for owner in owners:
        path = model_file(checkpoint, checkpoint.name, limits.home / "visitors" / owner, limits)
        request = BuildRequest(str(path), "pretrained", ("scripted",))
        with open_shelf(store, request) as shelf:
            build.build(request, shelf, limits)
        assert all(stored.key.startswith(f"{owner}-") for stored in store.find(request).values())
    assert store.entries() == []
    store.forget(owners[0])
    assert request
    assert len(store.find(request)) == 2
    store.forget(owners[1])
    assert store.find(request) == {}


def test_a_model_file_that_is_brought_again_keeps_everything(model: Path, tmp_path: Path) -> None:
    corrections = Corrections(heads=2, size=64, resize=80, normalization="-1 to 1", labels=("x", "y", "z"))
    bring.correct(model, Settings(), corrections)
    again = model_file(model, "again.safetensors", tmp_path / "again", Settings())
    assert replace(card.read(again), name="", title="", file=None) == replace(
        card.read(model), name="", title="", file=None
    )
    save_file(state(), tmp_path / "forged.safetensors", metadata={card.MODEL_KEY: '{"labels": ["a"]}'})
    forged = model_file(tmp_path / "forged.safetensors", "forged", tmp_path / "forged", Settings())
    assert card.read(forged).own_labels == ("class 0", "class 1", "class 2")


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    free = []
    for name in ("My Pets.pth", "My Pets.pth", "my-pets.safetensors", "Модель.pth", "Другая.pth", "x" * 99, "x" * 99):
        free.append(bring.free_name(tmp_path, name))
        card.path_in(tmp_path, free[-1]).touch()
    assert free[:5] == ["My Pets.pth", "My Pets 2.pth", "my-pets 3.safetensors", "Модель.pth", "Другая 2.pth"]
    assert len(list(tmp_path.iterdir())) == len(free)


def test_errors_use_the_visitors_name_for_the_file(tmp_path: Path) -> None:
    hidden = tmp_path / ".df1fa84f.pth"
    hidden.write_bytes(b"hello")
    with pytest.raises(InvalidCheckpoint, match="My Pets.pth is damaged"):
        model_file(hidden, "My Pets.pth", tmp_path / "out", Settings())
    torch.save(state() | {"extra": torch.zeros(1)}, hidden)
    with pytest.raises(InvalidCheckpoint, match="My Pets.pth does not fit the ViT"):
        model_file(hidden, "My Pets.pth", tmp_path / "out", Settings())


def claims_to_be_huge(path: Path) -> None:
    """A tensor of 40 GB, of which four bytes are stored."""
    torch.save(state() | {"head.weight": torch.zeros(1).expand(10_000_000_000)}, path)


def bomb(path: Path) -> None:
    torch.save(state(), path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/999", bytes(200_000_000))


@pytest.mark.parametrize(
    ("make", "words"), [(claims_to_be_huge, "10000 million parameters"), (bomb, "more than the file itself")]
)
def test_what_would_fill_the_memory_is_refused_before_it_does(make: Any, words: str, tmp_path: Path) -> None:
    make(tmp_path / "huge.pth")
    before = psutil.Process().memory_info().rss
    with pytest.raises(InvalidCheckpoint, match=words):
        model_file(tmp_path / "huge.pth", "huge.pth", tmp_path / "out", Settings())
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 50e6
