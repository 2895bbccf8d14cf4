"""Each row of ``FAMILIES`` against the model that timm builds for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch

from deploy_core.models import families, load
from deploy_core.models.catalogue import MODELS
from deploy_core.models.families import FAMILIES
from deploy_core.models.own import card
from tests.own_model import LABELS, SHAPE


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_is_right_about_timms_model(family: str) -> None:
    row, shape = FAMILIES[family], replace(SHAPE, family=family)
    with torch.device("meta"):
        module = load.create(card.without_file(shape, "mine", LABELS))
    assert module.num_prefix_tokens == row.prefix_tokens
    assert (module.global_pool == "avg") == row.averages_patches
    state = module.state_dict()
    assert state["pos_embed"].shape[1] == shape.positions
    assert set(row.tensors) <= set(state)
    assert families.of_tensors(state) == family
    config = timm.get_pretrained_cfg(row.timm_name)
    assert config is not None
    assert (config.mean, config.std) == (row.mean, row.std)
    assert families.accepts(row.timm_name)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_catalogue_is_of_the_family_that_its_tensors_show(name: str) -> None:
    with torch.device("meta"):
        module = load.create(MODELS[name])
    assert families.of_tensors(module.state_dict()) == MODELS[name].family


def test_other_architectures_are_not_accepted() -> None:
    assert not families.accepts("resnet50")
    assert not families.accepts("deit_tiny_patch16_224_and_more")


def test_the_families_are_named_in_a_sentence() -> None:
    assert families.titles("**{}**") == "**DeiT**, **DeiT distilled** or **DeiT III**"
