"""The answers that ship with the embedded model are what it answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy_core import embedded
from deploy_core.inference import attention, classify, shipped
from deploy_core.models import catalogue, load
from deploy_core.settings import Settings
from deploy_core.types import ModelChoice

DEMO = ModelChoice("demo", "pretrained")


def test_each_sample_has_the_answer_that_the_model_gives() -> None:
    model = classify.open_model("demo", "pretrained", Settings())
    for sample in embedded.samples():
        kept = shipped.find(DEMO, shipped.digest(sample))
        assert kept
        picture = model.prepare(sample.path.read_bytes(), Settings())
        top = model.classify_prepared(picture, sample.file, shipped.MOST_CLASSES).top
        assert [(one.index, one.label) for one in kept.top[:5]] == [(one.index, one.label) for one in top[:5]]
        assert [one.probability for one in kept.top] == pytest.approx([one.probability for one in top], abs=1e-4)
        looks = attention.rollout(model.module, model.spec.family, classify.tensor_from(picture, model.spec))
        assert kept.attention == [pytest.approx(row, abs=1e-3) for row in looks.tolist()]


def test_nothing_is_known_of_another_model_picture_or_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = shipped.digest(embedded.samples()[0])
    assert shipped.find(ModelChoice("demo", "random"), digest) is None
    assert shipped.find(ModelChoice("deit_tiny_patch16_224", "pretrained"), digest) is None
    assert shipped.find(DEMO, "0" * 64) is None
    demo = load.find("demo")
    other = replace(demo, preprocessing=replace(demo.preprocessing, resize=300))
    monkeypatch.setitem(catalogue.MODELS, "demo", other)
    assert shipped.find(DEMO, digest) is None
