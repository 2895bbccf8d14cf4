"""A new family is one row: with it, a checkpoint is brought, classified, explained and offered by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deploy_core import documents, embedded
from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.inference import attention, classify
from deploy_core.models import families
from deploy_core.models.families import FAMILIES, ModelFamily, Variant
from deploy_core.models.own import bring, card
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from tests import own_model
from tests.core.cli.test_command_line import run_json
from tests.own_model import LABELS, state

# It differs from every DeiT: no class token, and the head reads the mean of the patches.
VARIANT = Variant(class_token=False, pooling="avg", fc_norm=True)
TOY = ModelFamily(
    title="ToyViT",
    timm_name="vit_tiny_patch16_224",
    tensors=("fc_norm.weight",),
    variant=VARIANT,
    head_width=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    renamed={"pool_norm": "fc_norm"},
)
SHAPE = replace(own_model.SHAPE, family="toy", depth=1, heads=2, hidden=128)
PICTURE = str(embedded.SAMPLES / "chelsea.png")


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "toy", TOY)


@pytest.fixture
def checkpoint(one_row: None, tmp_path: Path) -> Path:
    """A checkpoint with the tensor names of the family's authors."""
    path = tmp_path / "toy.pth"
    torch.save({key.replace("fc_norm", "pool_norm"): value for key, value in state(SHAPE).items()}, path)
    return path


def test_a_checkpoint_of_it_is_imported_and_classified(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = run_json(capsys, "import", str(checkpoint), "--out", str(tmp_path / "models"))
    assert document["architecture"] == documents.plain(replace(SHAPE, variant=VARIANT))
    assert document["preprocessing"]["mean"] == list(TOY.mean)
    answer = run_json(capsys, "classify", PICTURE, "--model", document["file"])
    assert answer["top"][0]["index"] == 1


def test_it_is_resized_explained_and_described_like_any_other(checkpoint: Path, tmp_path: Path) -> None:
    spec = bring.bring(checkpoint, tmp_path / "models", Settings(), Corrections(size=64, labels=LABELS))
    assert card.describe(spec).startswith("ToyViT, 64 wide, 1 deep, 2 heads; 64 x 64 pixels")
    model = classify.open_model(spec.reference, "pretrained", Settings())
    assert model.spec.family == "toy"
    shares = attention.rollout(model.module, model.spec.family, torch.rand(1, 3, 64, 64))
    assert shares.shape == (8, 8)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-5)


def test_it_is_offered_by_name(one_row: None) -> None:
    assert families.titles() == "ViT, DeiT, DeiT distilled, DeiT III or ToyViT"


def test_without_the_row_it_is_refused(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FAMILIES, "toy")
    with pytest.raises(InvalidCheckpoint, match="pool_norm.weight is not part of the model"):
        bring.bring(checkpoint, tmp_path, Settings())


def test_a_family_that_cannot_show_its_attention_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "toy", replace(TOY, shows_attention=False))
    with pytest.raises(InvalidRequest, match="ToyViT does not show where it looks"):
        attention.rollout(torch.nn.Identity(), "toy", torch.zeros(1, 3, 32, 32))
