"""The catalogue, loading weights, and checkpoints that are refused."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.models import catalogue, checkpoints, load
from deploy_core.models.catalogue import MODELS
from deploy_core.settings import Settings


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(load.load("demo", "pretrained", Settings()).module.state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_the_catalogue_is_right_about_a_model(name: str) -> None:
    spec = MODELS[name]
    with torch.device("meta"):
        module = load.create(spec)
    assert sum(parameter.numel() for parameter in module.parameters()) == spec.parameters
    assert len(catalogue.labels(spec)) == spec.classes
    assert module.num_classes == spec.classes


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.hub_id])
def test_hub_models_follow_timms_own_configuration(name: str) -> None:
    import timm

    spec = MODELS[name]
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    assert config is not None
    assert f"hub:{config.hf_hub_id}" == spec.source
    assert config.input_size == (3, spec.input_size, spec.input_size)
    assert (config.mean, config.std) == (spec.preprocessing.mean, spec.preprocessing.std)
    assert (config.interpolation, config.crop_mode) == (spec.preprocessing.interpolation, spec.preprocessing.crop_mode)
    tutorial = name.startswith("deit_") and spec.input_size == 224
    assert spec.preprocessing.resize == (256 if tutorial else int(spec.input_size / config.crop_pct))


def test_index_269_is_the_tutorials_answer() -> None:
    assert catalogue.labels(MODELS["deit_base_patch16_224"])[269] == "timber wolf, grey wolf, gray wolf, Canis lupus"


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = load.load("demo", "random", Settings()).module.state_dict()
    assert torch.equal(torch.rand(3), expected)
    second = load.load("demo", "random", Settings()).module.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "pt", "authors"])
def test_a_checkpoint_of_each_kind_is_loaded(kind: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    changed = {key: value + 1 for key, value in state.items()}
    path = tmp_path / f"mine.{'pth' if kind == 'authors' else kind}"
    if kind == "safetensors":
        save_file(changed, path)
    elif kind == "authors":
        torch.save({"model": changed, "epoch": 3, "args": argparse.Namespace(lr=0.1)}, path)
    else:
        torch.save(changed, path)
    loaded = load.load("demo", str(path), Settings()).module.state_dict()
    assert all(torch.equal(loaded[key], changed[key]) for key in changed)


def test_deit3_checkpoints_of_the_authors_name_their_layer_scale_otherwise(tmp_path: Path) -> None:
    spec = MODELS["deit3_small_patch16_224"]
    state = load.create(spec).state_dict()
    published = {
        key.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): value for key, value in state.items()
    }
    torch.save({"model": published}, tmp_path / "deit3.pth")
    loaded = load.load(spec.name, str(tmp_path / "deit3.pth"), Settings()).module.state_dict()
    assert torch.equal(loaded["blocks.0.ls1.gamma"], state["blocks.0.ls1.gamma"])


def test_what_does_not_fit_is_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    odd = dict(state)
    del odd["cls_token"]
    odd["head.weight"] = torch.zeros(7, 192)
    odd["extra"] = torch.zeros(1)
    odd["norm.bias"] = torch.zeros(5)
    save_file(odd, tmp_path / "odd.safetensors")
    with pytest.raises(InvalidCheckpoint) as caught:
        load.load("demo", str(tmp_path / "odd.safetensors"), Settings())
    assert "cls_token is missing; extra is not part of the model; " in caught.value.problem
    assert caught.value.problem.endswith("and 1 more.")
    del odd["extra"]
    odd["cls_token"] = state["cls_token"]
    save_file(odd, tmp_path / "odd.safetensors")
    with pytest.raises(InvalidCheckpoint, match="head.weight is 7x192 instead of 1000x192"):
        load.load("demo", str(tmp_path / "odd.safetensors"), Settings())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code ran",))


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": Evil()}, tmp_path / "new.pth")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / f"{protocol}.pth").write_bytes(pickle.dumps(Evil(), protocol=protocol))
    (tmp_path / "instance.pth").write_bytes(b"(S'code ran'\ni__builtin__\nprint\n.")
    for name in ("new.pth", "instance.pth", *(f"{protocol}.pth" for protocol in range(pickle.HIGHEST_PROTOCOL + 1))):
        with pytest.raises(
            InvalidCheckpoint,
            match=r"runs code when it is loaded \((builtins.print|__builtin__.print)\), so it was refused",
        ):
            load.load("demo", str(tmp_path / name), Settings())
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused_as_code(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(InvalidCheckpoint, match="script.pt is TorchScript, which is code, so it was refused"):
        load.load("demo", str(tmp_path / "script.pt"), Settings())


def test_numpy_numbers_saved_with_the_weights_are_not_code(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    best = {"accuracy": np.float64(0.9), "epoch": np.int64(3), "loss": np.float32(0.1), "done": np.bool_(True)}
    torch.save({"model": state, **best}, tmp_path / "best.pth")
    assert checkpoints.read(tmp_path / "best.pth").notes == best


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.eye(192).to_sparse(), "sparse"),
        (lambda: torch.zeros(192, device="meta"), "on the device meta"),
        (lambda: torch.quantize_per_tensor(torch.zeros(192), 1, 0, torch.qint8), "qint8"),
        (lambda: torch.zeros(192, dtype=torch.complex64), "complex64"),
    ],
)
# torch warns about quantized and sparse tensors.
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_not_plain_numbers_are_refused(
    make: Callable[[], torch.Tensor], kind: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(state | {"norm.bias": make()}, tmp_path / "odd.pth")
    with pytest.raises(InvalidCheckpoint, match=f"odd.pth does not hold plain numbers in norm.bias: they are {kind}"):
        load.load("demo", str(tmp_path / "odd.pth"), Settings())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("garbage.pth", b"\x00\x01garbage" * 99),
        ("text.pt", b"hello"),
        ("stack.pth", b"\x80\x02."),
        ("huge.safetensors", (10 * 2**30).to_bytes(8, "little") + b"{}"),
        ("garbage.safetensors", b"\xff" * 300),
    ],
)
def test_damaged_checkpoints_are_refused(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidCheckpoint, match="damaged or not a checkpoint"):
        load.load("demo", str(tmp_path / name), Settings())


def test_truncated_checkpoints_are_refused(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    for path in (tmp_path / "a.safetensors", tmp_path / "a.pth"):
        path.write_bytes(path.read_bytes()[:100_000])
        with pytest.raises(InvalidCheckpoint, match="damaged or not a checkpoint"):
            load.load("demo", str(path), Settings())


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    for value in ([1, 2], {0: torch.zeros(1)}, {"model": 3}, {}):
        torch.save(value, tmp_path / "other.pth")
        with pytest.raises(InvalidCheckpoint):
            load.load("demo", str(tmp_path / "other.pth"), Settings())
    for name in ("~nosuchuser/x.pth", "x" * 300, "a\0b.pth"):
        with pytest.raises(InvalidCheckpoint, match="There is no checkpoint file"):
            load.load("demo", name, Settings())
    (tmp_path / "x.onnx").write_bytes(b"")
    with pytest.raises(InvalidCheckpoint, match="x.onnx is empty"):
        load.load("demo", str(tmp_path / "x.onnx"), Settings())


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(InvalidRequest, match="no model 'vgg'.*deit_base_patch16_224"):
        load.find("vgg")
    with pytest.raises(InvalidCheckpoint, match="no checkpoint file pretraind.*'pretrained', 'random'"):
        load.load("demo", "pretraind", Settings())


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
