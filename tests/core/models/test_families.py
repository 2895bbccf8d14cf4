"""Each row of ``FAMILIES`` against the model that timm builds for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import timm
import torch

from deploy_core.inference import attention
from deploy_core.models import families, load
from deploy_core.models.catalogue import MODELS
from deploy_core.models.families import FAMILIES, Variant
from deploy_core.models.own import card, preprocessing, shapes
from deploy_core.models.own.told import Told
from deploy_core.models.spec import Architecture
from tests.own_model import LABELS, SHAPE


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_is_right_about_timms_model(family: str) -> None:
    row = FAMILIES[family]
    shape = replace(SHAPE, family=family, variant=row.variant or Variant())
    with torch.device("meta"):
        module = load.create(card.without_file(shape, "mine", LABELS))
    assert module.num_prefix_tokens == shape.prefix_tokens
    state = module.state_dict()
    assert state["pos_embed"].shape[1] == shape.positions
    assert set(row.tensors) <= set(state)
    assert families.of_tensors(state, shape.variant, told=family) == family
    config = timm.get_pretrained_cfg(row.timm_name)
    assert config is not None
    assert family == "vit" or (config.mean, config.std) == (row.mean, row.std)


VARIANTS = (
    Variant(registers=4, prefix_positions=False, layer_scale=True),
    Variant(class_token=False, pooling="avg", fc_norm=True),
    Variant(pooling="avg"),
    Variant(pooling="avg", fc_norm=True, registers=1, qkv_bias=False),
    Variant(pre_norm=True, norm_eps=1e-5),
)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_variant_is_what_timm_builds_and_what_its_tensors_show(variant: Variant) -> None:
    shape = replace(SHAPE, variant=variant)
    module: Any = load.create(card.without_file(shape, "mine", LABELS))
    assert (module.num_prefix_tokens, module.global_pool) == (shape.prefix_tokens, variant.pooling)
    assert {part.eps for part in module.modules() if isinstance(part, torch.nn.LayerNorm)} == {variant.norm_eps}
    told = Told(pooling=variant.pooling)
    assert shapes.architecture_of(module.state_dict(), "mine", told, variant.norm_eps) == shape
    assert attention.rollout(module, shape.family, torch.rand(1, 3, 32, 32)).shape == (4, 4)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_catalogue_is_of_the_family_that_its_tensors_show(name: str) -> None:
    with torch.device("meta"):
        module = load.create(MODELS[name])
    shape = shapes.architecture_of(module.state_dict(), name, Told(family="deit"))
    assert shape.family == MODELS[name].family
    how = preprocessing.default_for(shape)
    assert (how.resize, how.mean) == (MODELS[name].preprocessing.resize, MODELS[name].preprocessing.mean)


def test_the_families_are_named_in_a_sentence() -> None:
    assert families.titles("**{}**") == "**ViT**, **DeiT**, **DeiT distilled** or **DeiT III**"


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (SHAPE, "ViT"),
        (replace(SHAPE, width=192, depth=12, heads=3), "ViT-Tiny"),
        (replace(SHAPE, family="deit", width=384, depth=12), "DeiT-Small"),
        (replace(SHAPE, variant=VARIANTS[0]), "ViT with 4 registers and LayerScale"),
        (replace(SHAPE, variant=VARIANTS[1]), "ViT with no class token that averages its patches"),
    ],
)
def test_models_are_called_what_they_are(shape: Architecture, words: str) -> None:
    assert card.what_it_is(shape) == words
