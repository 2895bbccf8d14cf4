from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest
import torch

from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.inference import classify, proof, verdicts, views
from deploy_core.inference.classify import Classifier
from deploy_core.inference.proof import Reference
from deploy_core.settings import Settings
from deploy_core.types import PictureView, Verdict


@pytest.fixture(scope="module")
def original() -> Classifier:
    return classify.open_model("demo", "pretrained", Settings())


@pytest.fixture(scope="module")
def reference(original: Classifier) -> Reference:
    return Reference(original, Settings())


def answering(original: Classifier, change: Callable[[torch.Tensor], torch.Tensor]) -> Classifier:
    return dataclasses.replace(original, run=lambda pictures: change(original.run(pictures)))


def every(seconds: float) -> Callable[[], float]:
    """A clock on which each batch takes so long."""
    return itertools.count(0, seconds).__next__


def test_pictures_are_the_same_each_time_and_never_end() -> None:
    some = list(itertools.islice(views.views(), 600))
    assert some == list(itertools.islice(views.views(), 600))
    assert len({*some}) == 600
    parts = [view for view in some if view != PictureView(view.file)]
    assert len(parts) == 600 - 136
    for left, top, right, bottom in (view.box for view in parts):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        assert (right - left) * (bottom - top) >= views.LEAST_AREA * 0.7


def test_a_part_of_a_photograph_is_cut_and_mirrored() -> None:
    whole = views.picture_of(PictureView("zebra.jpg"), Settings())
    part = views.picture_of(PictureView("zebra.jpg", (0.25, 0.5, 0.75, 1.0), is_mirrored=True), Settings())
    width, height = whole.size
    assert part.size == (round(0.75 * width) - round(0.25 * width), height - round(0.5 * height))
    assert part.getpixel((0, 0)) == whole.getpixel((round(0.75 * width) - 1, round(0.5 * height)))


def test_the_original_is_asked_once_for_all_files(original: Classifier) -> None:
    asked: list[int] = []

    def count(pictures: torch.Tensor) -> torch.Tensor:
        asked.append(len(pictures))
        return original.run(pictures)

    reference = Reference(dataclasses.replace(original, run=count), Settings())
    for _ in range(2):
        proof.prove(original, FORMATS["scripted"], reference, every(0.55 * proof.ENOUGH_TIME))
    assert sum(asked) == 16


def test_a_slow_file_is_compared_on_fewer_pictures_where_the_verdict_is_clear(
    original: Classifier, reference: Reference
) -> None:
    clear = proof.prove(original, ORIGINAL, reference, every(0.55 * proof.ENOUGH_TIME))
    assert (clear.pictures, clear.verdict) == (2 * proof.BATCH, Verdict.SAME)
    chance = torch.Generator().manual_seed(0)
    noisy = answering(original, lambda logits: logits + 0.05 * torch.randn(logits.shape, generator=chance))
    open_ = proof.prove(noisy, ORIGINAL, reference, every(46))
    assert (open_.pictures, open_.verdict, open_.no_verdict) == (2 * proof.BATCH, None, verdicts.TOO_FEW)


def test_int8_gets_one_picture_at_a_time(
    original: Classifier, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "MOST_PICTURES", 4)
    sizes: list[int] = []

    def count(pictures: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pictures))
        return original.run(pictures)

    proof.prove(dataclasses.replace(original, run=count), FORMATS["quantized"], reference)
    assert sizes == [1, 1, 1, 1]


def test_the_pictures_that_moved_most_are_named(
    original: Classifier, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "MOST_PICTURES", 8)

    def turn_the_third(logits: torch.Tensor) -> torch.Tensor:
        changed = logits.clone()
        values, indices = logits[2].topk(2)
        changed[2, indices] = values.flip(0)
        return changed

    found = proof.prove(answering(original, turn_the_third), ORIGINAL, reference)
    moved = found.moved[0]
    assert moved.view == reference.views(3)[2]
    assert moved.original != moved.file
    assert moved.margin_after == pytest.approx(-moved.margin, abs=1e-4)
    assert (found.flips, found.decided_flips) == (1, int(moved.margin >= verdicts.NEAR_TIE))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_answers_that_are_no_numbers_are_refused(number: float, original: Classifier, reference: Reference) -> None:
    with pytest.raises(InvalidArtifact, match="infinite numbers or NaN"):
        proof.prove(answering(original, lambda logits: logits * number), ORIGINAL, reference)
