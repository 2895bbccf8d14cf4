"""One's own model: from a fine-tuned checkpoint through every step, and what is refused on the way in."""

from __future__ import annotations

import gc
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from deploy_core import build, embedded, settings
from deploy_core.bundle import write
from deploy_core.errors import DeployError, InvalidCheckpoint, InvalidRequest
from deploy_core.inference import classify
from deploy_core.models import catalogue, checkpoints, load
from deploy_core.models.families import FAMILIES
from deploy_core.models.own import bring, card, labels, shapes
from deploy_core.models.own.corrections import Corrections, from_timm_config
from deploy_core.models.spec import Architecture
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
from tests.core.cli.test_command_line import refused, run_json
from tests.own_model import LABELS, SHAPE, TRAINED, model_file, state

PICTURE = str(embedded.SAMPLES / "chelsea.png")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save({"model": state(), "label_names": list(LABELS), "epoch": 3}, tmp_path / "My Pets.pth")
    return tmp_path / "My Pets.pth"


@pytest.fixture
def model(checkpoint: Path, tmp_path: Path) -> Path:
    return model_file(checkpoint, checkpoint.name, tmp_path / "models", Settings())


def test_a_checkpoint_becomes_a_model_that_says_all_of_itself(model: Path) -> None:
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


def test_the_original_of_a_catalogue_model_keeps_its_labels_and_preprocessing(tmp_path: Path) -> None:
    limits = replace(settings.load(), home=tmp_path)
    build.build_into(tmp_path, BuildRequest("demo", "pretrained", ("original",)), limits)
    [original] = tmp_path.glob("demo*.safetensors")
    brought = load.find(str(model_file(original, original.name, tmp_path / "models", limits)))
    assert catalogue.labels(brought) == embedded.LABELS
    assert brought.preprocessing == embedded.PREPROCESSING


def test_a_model_file_of_an_earlier_version_has_its_center_cut_out(model: Path) -> None:
    document = json.loads(card.header(load.find(str(model))))
    del document["preprocessing"]["crop_mode"]
    save_file(load_file(model), model, metadata={card.MODEL_KEY: json.dumps(document)})
    assert load.find(str(model)).preprocessing.crop_mode == "center"


def test_a_header_that_names_a_catalogue_model_of_other_classes_is_not_believed(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "mine.safetensors", metadata={card.MODEL_KEY: "deit_base_patch16_224"})
    brought = load.find(str(model_file(tmp_path / "mine.safetensors", "mine.safetensors", tmp_path, Settings())))
    assert catalogue.labels(brought)[:2] == ("class 0", "class 1")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [SHAPE, Architecture("", 128, 1, 2, 256, 16, 64, 7)], ids=["small", "wide"])
def test_the_architecture_is_read_from_the_shapes(family: str, shape: Architecture) -> None:
    shape = replace(shape, family=family)
    assert shapes.architecture_of(state(shape), "mine") == shape


@pytest.mark.parametrize(
    "name", ["deit_base_patch16_384", "deit_tiny_distilled_patch16_224", "deit3_medium_patch16_224"]
)
def test_the_catalogues_own_checkpoints_are_read_as_what_they_are(name: str) -> None:
    with torch.device("meta"):
        module = timm.create_model(name)
    shape = shapes.architecture_of(module.state_dict(), name)
    assert (shape.size, shape.patch, shape.classes) == (load.find(name).input_size, 16, 1000)
    assert shape.heads == module.get_submodule("blocks.0.attn").num_heads
    assert shape.family == ("deit3" if "deit3" in name else "distilled" if "distilled" in name else "deit")


def test_it_goes_through_build_and_bundle_and_keeps_its_labels(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
        assert "this project trained" not in archive.read("README.md").decode().lower()
    assert write.verify(Path(bundled["bundle"]), Settings()).holds


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
    told = ("--normalization=-1 to 1", "--resize", "40", "--crop-mode=squash", "--out", str(tmp_path / "told"))
    how = run_json(capsys, "import", str(checkpoint), *told)["preprocessing"]
    assert (how["mean"], how["resize"], how["crop_mode"]) == ([0.5, 0.5, 0.5], 40, "squash")
    assert "no normalization 'odd'" in refused(capsys, "import", str(checkpoint), "--normalization", "odd")
    assert "cannot be read" in refused(capsys, "import", str(checkpoint), "--labels", str(tmp_path / "none.txt"))


def test_what_is_made_of_a_visitors_model_is_the_visitors_alone(checkpoint: Path, limits: Settings) -> None:
    owners = ("a" * 32, "b" * 32)
    request = None
    store = Store(limits)
    for owner in owners:
        path = model_file(checkpoint, checkpoint.name, limits.home / "visitors" / owner, limits)
        request = BuildRequest(str(path), "pretrained", ("scripted",))
        with store.shelf(request) as shelf:
            build.build(request, shelf, limits)
        assert all(stored.key.startswith(f"{owner}-") for stored in store.find(request).values())
    assert store.entries() == []
    store.forget(owners[0])
    assert request
    assert len(store.find(request)) == 2
    store.forget(owners[1])
    assert store.find(request) == {}


def test_a_corrected_size_interpolates_the_positions_and_keeps_the_rest(checkpoint: Path, tmp_path: Path) -> None:
    told = Corrections(size=64, heads=1, resize=80, crop_mode="squash", normalization="-1 to 1", labels=("x", "y", "z"))
    path = model_file(checkpoint, "bigger", tmp_path, Settings(), told)
    spec = load.find(str(path))
    how = spec.preprocessing
    assert (how.crop, how.resize, how.crop_mode, how.mean) == (64, 80, "squash", (0.5, 0.5, 0.5))
    assert "pictures squashed" in card.describe(spec)
    module = load.load(str(path), "pretrained", Settings()).module
    assert module.state_dict()["pos_embed"].shape == (1, 1 + 64, SHAPE.width)
    assert spec.parameters == sum(value.numel() for value in module.parameters())
    answer = classify.open_model(str(path), "pretrained", Settings()).classify(PICTURE, Settings())
    assert answer.top[0].label == "y"


def test_corrections_can_be_undone(model: Path) -> None:
    brought = load.load(str(model), "pretrained", Settings()).module.state_dict()
    for size in (64, 32):
        bring.correct(model, Settings(), Corrections(size=size))
    again = load.load(str(model), "pretrained", Settings()).module.state_dict()
    assert all(torch.equal(again[key], brought[key]) for key in brought)
    assert [path.name for path in model.parent.iterdir()] == [model.name]


def test_a_model_file_that_is_brought_again_says_all_of_itself(model: Path, tmp_path: Path) -> None:
    told = Corrections(heads=2, size=64, resize=80, normalization="-1 to 1", labels=("x", "y", "z"))
    bring.correct(model, Settings(), told)
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


def test_what_is_refused_is_called_as_the_visitor_calls_it(tmp_path: Path) -> None:
    hidden = tmp_path / ".df1fa84f.pth"
    hidden.write_bytes(b"hello")
    with pytest.raises(InvalidCheckpoint, match="My Pets.pth is damaged"):
        model_file(hidden, "My Pets.pth", tmp_path / "out", Settings())
    torch.save(state() | {"extra": torch.zeros(1)}, hidden)
    with pytest.raises(InvalidCheckpoint, match="My Pets.pth does not fit the DeiT"):
        model_file(hidden, "My Pets.pth", tmp_path / "out", Settings())


@pytest.mark.parametrize(
    ("told", "words"),
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
def test_corrections_that_contradict_the_checkpoint_are_told(
    checkpoint: Path, tmp_path: Path, told: Corrections, words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model_file(checkpoint, checkpoint.name, tmp_path / "out", Settings(), told)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"cat\ndog\nfish\n",
        b"\xef\xbb\xbfcat\r\n\r\ndog\r\nfish",
        b'["cat", "dog", "fish"]',
        b'{"0": "cat", "1": "dog", "2": "fish"}',
        b'{"cat": 0, "fish": 2, "dog": 1}',
        b'{"id2label": {"0": "cat", "1": "dog", "2": "fish"}}',
        b'{"model": "x", "label_names": ["cat", "dog", "fish"]}',
    ],
)
def test_labels_in_the_forms_that_people_have(data: bytes) -> None:
    assert labels.parse_labels(data) == ("cat", "dog", "fish")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b'["a", ""]',
        b'{"0": "a", "2": "b"}',
        b"{}",
        b"[" * 99_999,
        b'{"a": "b"}',
        b"[]",
    ],
)
def test_labels_that_cannot_be_read_are_told(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="labels cannot be read"):
        labels.parse_labels(data)


def test_labels_cannot_break_a_page_or_a_file_of_labels() -> None:
    (first, _) = labels.parse_labels(json.dumps(["a\nb\x00\x1b[31m" + "x" * 999, "b"]).encode())
    assert first.isprintable()
    assert len(first) == 200


def broken(change: str) -> dict[str, torch.Tensor]:
    made = state()
    if change == "nan":
        made["blocks.1.mlp.fc2.weight"][0, 0] = float("nan")
    elif change == "headless":
        del made["head.weight"], made["head.bias"]
    elif change == "extra":
        made["blocks.0.attn.q_norm.weight"] = torch.zeros(3)
    elif change == "oblong":
        made["pos_embed"] = torch.zeros(1, 1 + 12, SHAPE.width)
    elif change == "grey":
        made["patch_embed.proj.weight"] = made["patch_embed.proj.weight"][:, :1].contiguous()
    elif change == "one class":
        made |= {"head.weight": made["head.weight"][:1].clone(), "head.bias": made["head.bias"][:1].clone()}
    elif change == "flat":
        made["head.weight"] = torch.zeros(3)
    return made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("nan", "infinite numbers or NaN in blocks.1.mlp.fc2.weight"),
        ("headless", "is not a DeiT: it has no head.weight"),
        ("extra", "blocks.0.attn.q_norm.weight is not part of the model"),
        ("oblong", "13 positions do not make a square of patches"),
        ("grey", "its patches are 64x1x8x8"),
        ("one class", "only one class"),
        ("flat", "its tensors have other shapes"),
    ],
)
def test_tensors_that_make_no_deit_are_told(change: str, words: str, tmp_path: Path) -> None:
    save_file(broken(change), tmp_path / "odd.safetensors")
    with pytest.raises(DeployError) as caught:
        model_file(tmp_path / "odd.safetensors", "odd", tmp_path / "out", Settings())
    assert words in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def resnet() -> dict[str, torch.Tensor]:
    return dict(timm.create_model("resnet10t", num_classes=3).state_dict())


def test_another_architecture_is_told(tmp_path: Path) -> None:
    torch.save(resnet(), tmp_path / "resnet.pth")
    with pytest.raises(InvalidCheckpoint, match="resnet.pth is not a DeiT: it has no cls_token"):
        model_file(tmp_path / "resnet.pth", "resnet.pth", tmp_path, Settings())


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


def test_what_a_config_leaves_open_is_as_in_timm() -> None:
    told = from_timm_config({"pretrained_cfg": TRAINED | {"crop_mode": None, "interpolation": None, "crop_pct": None}})
    assert told.preprocessing
    assert (told.preprocessing.crop_mode, told.preprocessing.interpolation) == ("center", "bicubic")


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"crop_mode": "border"}, "crop mode 'border'"), ({"interpolation": "random"}, "interpolation 'random'")],
)
def test_preprocessing_that_cannot_be_done_here_is_told(
    changed: dict[str, str], words: str, checkpoint: Path, tmp_path: Path
) -> None:
    told = from_timm_config({"pretrained_cfg": TRAINED | changed})
    with pytest.raises(InvalidRequest, match=words):
        model_file(checkpoint, checkpoint.name, tmp_path, Settings(), told)


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
    """A safetensors file that is valid but for the size of what it says beside its tensors."""
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
    with pytest.raises(InvalidCheckpoint, match="is not a DeiT"):
        model_file(bomb, bomb.name, tmp_path / "out", Settings())


def test_labels_that_would_make_such_a_header_are_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "pets.safetensors"
    save_file(state(), checkpoint)
    long = tuple("\N{CAT}" * 200 for _ in range(3))
    model_file(checkpoint, "pets", tmp_path, Settings(), Corrections(labels=long))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InvalidRequest, match="The labels are too long"):
        patch.setattr(card, "TENSORS_BYTES", checkpoints.LARGEST_HEADER)
        model_file(checkpoint, "pets", tmp_path, Settings(), Corrections(labels=long))


def test_an_archive_of_a_million_files_is_not_listed(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w") as archive:
        for number in range(checkpoints.MOST_ENTRIES + 1):
            archive.writestr(zipfile.ZipInfo(f"archive/data/{number}"), b"")
    with pytest.raises(InvalidCheckpoint, match="bomb.pth is an archive of more than 20000 files"):
        checkpoints.read(bomb)


def test_a_pickle_larger_than_any_models_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(checkpoints.LARGEST_PICKLE + 1))
    with pytest.raises(InvalidCheckpoint, match="more besides its tensors than any model needs"):
        checkpoints.read(bomb)
