"""The loop: it learns, resumes where it stopped, keeps its schedule, and averages the weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from deploy_core.errors import InvalidRequest
from deploy_core.models.spec import Architecture
from deploy_core.training import distil, student, views
from deploy_core.training.distil import Distillation
from deploy_core.training.photographs import Photographs
from deploy_core.training.recipe import DEIT_TINY, Phase, Recipe, going_on

SHAPE = Architecture("distilled", width=32, depth=2, heads=2, hidden=64, patch=8, size=32, classes=3)
RECIPE = Recipe(
    student=SHAPE,
    samples=320,
    phases=(Phase(0.0, 16, 0.5), Phase(0.5, 32, 0.5)),
    teacher_size=32,
    batch=16,
    rate=4e-2,
    decay=0.9,
)


class StrongestColour(nn.Module):
    """A teacher that sees at once which colour a picture has most of."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return 30 * pictures.mean((2, 3))


@pytest.fixture(scope="module")
def tinted() -> Photographs:
    """Noise, in which each picture has more of one colour."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 160, (60, 3, 32, 32), generator=generator)
    pixels[torch.arange(60), torch.arange(60) % 3] += 95
    return Photographs(pixels.to(torch.uint8), None, 0)


def a_run(
    photographs: Photographs, out: Path, recipe: Recipe = RECIPE, clock: Callable[[], float] = lambda: 0.0
) -> Distillation:
    out.mkdir(exist_ok=True)
    return Distillation(
        student.new_student(recipe.student, recipe.seed), StrongestColour(), photographs, recipe, out, clock
    )


def ticking(seconds: float) -> Callable[[], float]:
    return itertools.count(0, seconds).__next__


def nothing(*_: object) -> None:
    pass


def test_the_student_learns_what_the_teacher_answers(tinted: Photographs, tmp_path: Path) -> None:
    run = a_run(tinted, tmp_path, replace(RECIPE, samples=480))
    labelled = replace(tinted, labels=torch.arange(60) % 3)
    before, _ = student.accuracy(run.average, labelled)
    first, _ = run.lesson(*run._batch())
    run.train(nothing, nothing)
    last, _ = run.lesson(*run._batch())
    after, top5 = student.accuracy(run.average, labelled)
    assert before < 0.7
    assert after > 0.95
    assert top5 == 1
    assert float(last.detach()) < 0.8 * float(first.detach())


def test_a_run_that_was_cut_off_ends_where_the_whole_one_does(tinted: Photographs, tmp_path: Path) -> None:
    whole = a_run(tinted, tmp_path / "whole")
    whole.train(nothing, nothing)

    def cut_off(times: list[None]) -> None:
        times.append(None)
        if len(times) == 2:
            raise KeyboardInterrupt

    cut = a_run(tinted, tmp_path / "cut", clock=ticking(30))
    times: list[None] = []
    with pytest.raises(KeyboardInterrupt):
        cut.train(nothing, lambda: cut_off(times))
    resumed = a_run(tinted, tmp_path / "cut")
    assert resumed.resume()
    assert 0 < resumed.steps < cut.steps < whole.steps
    resumed.train(nothing, nothing)
    assert resumed.samples == whole.samples
    for one, other in ((whole.student, resumed.student), (whole.average, resumed.average)):
        pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        assert all(torch.equal(tensor, same) for tensor, same in pairs)


def test_a_run_that_is_over_stays_as_it_is(tinted: Photographs, tmp_path: Path) -> None:
    a_run(tinted, tmp_path).train(nothing, nothing)
    again = a_run(tinted, tmp_path)
    assert again.resume()
    assert again.share == 1
    again.train(pytest.fail, lambda: pytest.fail("a checkpoint of nothing"))


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"rate": 0.1}, "rate"), ({"samples": 640}, "samples"), ({"start": "f00", "batch": 8}, "start, batch")],
)
def test_a_run_never_goes_on_with_other_options(
    changed: dict[str, object], named: str, tinted: Photographs, tmp_path: Path
) -> None:
    a_run(tinted, tmp_path).save()
    with pytest.raises(InvalidRequest, match=f"a run with another {named}. Give its options to go on"):
        a_run(tinted, tmp_path, replace(RECIPE, **changed)).resume()  # type: ignore[arg-type]


def test_a_run_never_goes_on_with_other_photographs(tinted: Photographs, tmp_path: Path) -> None:
    a_run(tinted, tmp_path).save()
    with pytest.raises(InvalidRequest, match="another number of photographs"):
        a_run(replace(tinted, pixels=tinted.pixels[:50]), tmp_path).resume()


def test_a_file_that_is_no_checkpoint_is_refused(tinted: Photographs, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"something else")
    with pytest.raises(InvalidRequest, match="checkpoint.pt is no checkpoint of a run. Remove it"):
        a_run(tinted, tmp_path).resume()


def test_minutes_end_a_run_and_measuring_takes_none_of_them(tinted: Photographs, tmp_path: Path) -> None:
    now = 0.0

    def clock() -> float:
        return now

    def step(self: Distillation) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal now
        now += 20
        self.samples += self.recipe.batch
        return torch.tensor(1.5), torch.tensor(0.25)

    def measure() -> None:
        nonlocal now
        now += 1000

    lines: list[str] = []
    run = a_run(tinted, tmp_path, replace(RECIPE, minutes=3, samples=math.inf), clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Distillation, "_step", step)
        run.train(lines.append, measure)
    assert run.samples == 9 * 16
    assert lines[0] == "2.7 minutes left, loss 1.500, agrees with the teacher 25%, 1 pictures/s of 16 pixels"
    assert lines[-1].startswith("0.0 minutes left")
    assert lines[-1].endswith("of 32 pixels")
    assert len(lines) == 9


def test_the_rate_rises_then_falls_and_grows_with_the_root_of_the_batch() -> None:
    recipe = Recipe(batch=1024, rate=2e-3, warm_up=0.1)
    assert recipe.rate_at(0) == pytest.approx(1e-5)
    assert recipe.rate_at(0.05) == pytest.approx(1e-3, rel=0.02)
    assert recipe.rate_at(0.1) == pytest.approx(1.95e-3, rel=0.01)
    assert recipe.rate_at(0.5) == pytest.approx(1e-3)
    assert recipe.rate_at(1) == pytest.approx(1e-5)
    assert replace(recipe, batch=256).rate_at(0.5) == pytest.approx(5e-4)


def test_the_pictures_grow_in_the_last_part_and_trained_weights_see_only_large_ones() -> None:
    assert [Recipe().phase(share).size for share in (0, 0.71, 0.72, 1)] == [128, 128, 224, 224]
    assert [going_on(DEIT_TINY, "f00").phase(share).size for share in (0, 1)] == [224, 224]


def test_the_averaged_weights_follow() -> None:
    average, other = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    nn.init.zeros_(average.weight)
    nn.init.ones_(other.weight)
    distil.follow(average, other, 0.9)
    distil.follow(average, other, 0.9)
    torch.testing.assert_close(average.weight.data, torch.full((1, 2), 0.19))


def test_the_matrices_of_the_blocks_and_nothing_else_are_orthogonalized() -> None:
    pupil = student.new_student(SHAPE, 0)
    muon, adam = distil.optimizers(pupil, RECIPE)
    assert isinstance(muon, torch.optim.Muon)
    matrices = [tuple(parameter.shape) for parameter in muon.param_groups[0]["params"]]
    assert matrices == 2 * [(96, 32), (32, 32), (64, 32), (32, 64)]
    assert sum(len(group["params"]) for group in adam.param_groups) + 8 == len(list(pupil.parameters()))


def test_tokens_positions_norms_and_biases_are_not_decayed() -> None:
    kinds = {name: distil.kind_of(name, one) for name, one in student.new_student(SHAPE, 0).named_parameters()}
    left_alone = {name for name, kind in kinds.items() if kind == "undecayed"}
    assert {"cls_token", "dist_token", "pos_embed", "norm.weight", "head.bias", "blocks.0.norm1.weight"} <= left_alone
    assert not left_alone & {"head.weight", "blocks.0.attn.qkv.weight", "patch_embed.proj.weight"}


def test_true_labels_teach_the_class_token_and_the_teacher_the_other_one() -> None:
    class Sure(nn.Module):
        def forward(self, _: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[0.0, 9.0, 0.0]])

    class Teaches(nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 99.0, 0.0]])

    lesson = distil.Lesson(Sure(), Teaches(), 0.0, "cpu")
    picture = torch.zeros(1, 3, 8, 8)
    assert lesson(picture, picture, torch.tensor([[1.0, 0.0, 0.0]]))[0] < 0.01
    assert lesson(picture, picture, torch.tensor([[0.0, 1.0, 0.0]]))[0] > 4
    assert lesson(picture, picture, None)[0] > 4


@pytest.mark.parametrize("step", range(6))
def test_true_labels_are_mixed_as_the_pictures_are(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Black and white photographs: the share of white in a mixture is the probability of its class."""
    pixels = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    pixels[1] = 255
    run = a_run(Photographs(pixels, torch.tensor([0, 1]), 0), tmp_path, replace(RECIPE, mixed=1.0))
    run.steps = step
    monkeypatch.setattr(views, "coloured", lambda pictures, _: pictures)
    pictures, shown, true = run._batch()
    assert (pictures.shape, shown.shape) == ((16, 3, 16, 16), (16, 3, 32, 32))
    assert true is not None
    torch.testing.assert_close(true.sum(1), torch.ones(16))
    torch.testing.assert_close(shown.mean((1, 2, 3)), true[:, 1])
    assert true[:, 1].unique().numel() > 2
