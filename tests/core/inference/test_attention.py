"""Attention rollout, compared with attention weights that timm itself computes."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace

import pytest
import torch

from deploy_core import embedded
from deploy_core.formats import FORMATS, Workbench
from deploy_core.inference import attention
from deploy_core.inference.classify import tensor_of
from deploy_core.models import load
from deploy_core.models.catalogue import MODELS
from deploy_core.models.families import FAMILIES
from deploy_core.models.own import card
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import decode
from deploy_core.settings import Settings
from tests.own_model import LABELS, SHAPE

SMALL = [name for name, spec in MODELS.items() if spec.parameters < 25e6]


def picture(name: str, spec: ModelSpec) -> torch.Tensor:
    return tensor_of(decode.decode((embedded.SAMPLES / name).read_bytes(), Settings()), spec)


def by_timm(module: torch.nn.Module, tensor: torch.Tensor) -> torch.Tensor:
    """Rollout from the weights that go through timm's dropout when its attention is not fused."""
    unfused = copy.deepcopy(module)
    weights: list[torch.Tensor] = []
    for block in unfused.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _, given, __: weights.append(given[0][0].mean(0)))
    unfused(tensor)
    flow = torch.eye(weights[0].shape[0])
    for layer in weights:
        mixed = layer + torch.eye(len(layer))
        flow = mixed / mixed.sum(-1, keepdim=True) @ flow
    prefix = int(unfused.num_prefix_tokens)  # type: ignore[arg-type]
    seen = flow[:prefix, prefix:].mean(0)
    return seen / seen.sum()


@pytest.mark.parametrize("name", SMALL)
def test_it_is_the_rollout_of_timms_own_attention(name: str) -> None:
    weights = "pretrained" if MODELS[name].is_embedded else "random"
    model = load.load(name, weights, Settings())
    tensor = picture("zebra.jpg", model.spec)
    found = attention.rollout(model.module, model.spec.family, tensor)
    assert found.shape == (model.spec.input_size // model.module.patch_embed.patch_size[0],) * 2  # type: ignore[union-attr, index]
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found.flatten(), by_timm(model.module, tensor), atol=1e-6, rtol=1e-4)


def test_it_holds_the_attention_of_one_head_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax, sizes = torch.softmax, list[int]()

    def noted(values: torch.Tensor, dim: int) -> torch.Tensor:
        sizes.append(values.numel())
        return softmax(values, dim)

    monkeypatch.setattr(torch, "softmax", noted)
    shape = replace(SHAPE, heads=4)
    attention.rollout(load.create(card.without_file(shape, "mine", LABELS)), shape.family, torch.zeros(1, 3, 32, 32))
    assert sizes == [shape.tokens**2] * shape.heads * shape.depth


def test_the_families_are_all_covered() -> None:
    assert {MODELS[name].timm_name.split("_")[0] for name in SMALL} == {"deit", "deit3"}
    assert any("distilled" in name for name in SMALL)
    assert len(FAMILIES) == 4


def test_the_map_follows_the_picture_when_it_is_mirrored() -> None:
    model = load.load("demo", "pretrained", Settings())
    looks = attention.rollout(model.module, model.spec.family, picture("zebra.jpg", model.spec))
    mirrored = attention.rollout(model.module, model.spec.family, picture("zebra.jpg", model.spec).flip(-1))
    assert float((looks.flip(-1) - mirrored).abs().mean()) < float((looks - mirrored).abs().mean())


def test_the_model_is_left_as_it_was_and_can_still_be_scripted() -> None:
    model = load.load("demo", "pretrained", Settings())
    tensor = picture("coffee.png", model.spec)
    before = model.module(tensor)
    attention.rollout(model.module, model.spec.family, tensor)
    assert not any(part._forward_hooks for part in model.module.modules())
    assert torch.equal(model.module(tensor), before)
    scripted = FORMATS["scripted"].convert(Workbench(model, "qnnpack", "default"))
    torch.testing.assert_close(scripted(tensor), before)


def test_hooks_are_gone_after_an_error_too() -> None:
    model = load.load("demo", "pretrained", Settings())
    with pytest.raises((AssertionError, RuntimeError)):
        attention.rollout(model.module, model.spec.family, torch.zeros(1, 3, 7, 7))
    assert not any(part._forward_hooks for part in model.module.modules())


def test_others_may_ask_the_same_model_at_the_same_time() -> None:
    spec = card.without_file(SHAPE, "mine", LABELS)
    module = load.create(spec)
    one, other = picture("chelsea.png", spec), picture("zebra.jpg", spec)
    alone = attention.rollout(module, spec.family, one)
    stop = threading.Event()

    def busy() -> None:
        with torch.inference_mode():
            while not stop.is_set():
                module(other)

    neighbours = [threading.Thread(target=busy) for _ in range(2)]
    for neighbour in neighbours:
        neighbour.start()
    try:
        for _ in range(50):
            assert torch.equal(attention.rollout(module, spec.family, one), alone)
    finally:
        stop.set()
        for neighbour in neighbours:
            neighbour.join()
