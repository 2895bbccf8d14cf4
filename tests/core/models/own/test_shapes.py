"""The architecture that the shapes of a checkpoint's tensors give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from deploy_core import embedded
from deploy_core.errors import DeployError, InvalidCheckpoint
from deploy_core.models import load
from deploy_core.models.families import FAMILIES, Variant
from deploy_core.models.own import shapes
from deploy_core.models.own.told import Told
from deploy_core.models.spec import Architecture
from deploy_core.settings import Settings
from tests.own_model import SHAPE, model_file, state

PICTURE = str(embedded.SAMPLES / "chelsea.png")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [SHAPE, Architecture("", 128, 1, 2, 256, 16, 64, 7)], ids=["small", "wide"])
def test_the_architecture_is_read_from_the_shapes(family: str, shape: Architecture) -> None:
    shape = replace(shape, family=family, variant=FAMILIES[family].variant or Variant())
    assert shapes.architecture_of(state(shape), "mine", Told(family=family)) == shape


@pytest.mark.parametrize(
    "name", ["deit_base_patch16_384", "deit_tiny_distilled_patch16_224", "deit3_medium_patch16_224"]
)
def test_the_catalogues_checkpoints_give_their_own_architecture(name: str) -> None:
    with torch.device("meta"):
        module = timm.create_model(name)
    shape = shapes.architecture_of(module.state_dict(), name)
    assert (shape.size, shape.patch, shape.classes) == (load.find(name).input_size, 16, 1000)
    assert shape.heads == module.get_submodule("blocks.0.attn").num_heads
    assert shape.family == ("deit3" if "deit3" in name else "distilled" if "distilled" in name else "vit")


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
        ("headless", "it has no head with classes"),
        ("extra", "odd is a ViT that normalizes queries and keys"),
        ("oblong", "13 position embeddings, which are neither a square of patches"),
        ("grey", "its patches are 64x1x8x8"),
        ("one class", "only one class"),
        ("flat", "its tensors have other shapes"),
    ],
)
def test_tensors_that_are_not_a_deit_are_refused(change: str, words: str, tmp_path: Path) -> None:
    save_file(broken(change), tmp_path / "odd.safetensors")
    with pytest.raises(DeployError) as caught:
        model_file(tmp_path / "odd.safetensors", "odd", tmp_path / "out", Settings())
    assert words in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def resnet() -> dict[str, torch.Tensor]:
    return dict(timm.create_model("resnet10t", num_classes=3).state_dict())


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    torch.save(resnet(), tmp_path / "resnet.pth")
    with pytest.raises(InvalidCheckpoint, match="resnet.pth is a ResNet"):
        model_file(tmp_path / "resnet.pth", "resnet.pth", tmp_path, Settings())
