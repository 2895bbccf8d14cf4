"""The verdict, on planted files whose truth is known. The answers are logits like those of a DeiT on ImageNet."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from deploy_core.inference import verdicts
from deploy_core.inference.differences import Difference, difference, differences
from deploy_core.inference.proof import BATCH, LEAST_PICTURES, summary
from deploy_core.types import Verdict

REPETITIONS = 100
MOST_WRONG = 5
CLASSES = 100


def originals(seed: int, count: int = verdicts.MOST_PICTURES) -> torch.Tensor:
    """Logits whose first two are nearer than a tie of 0.25 on about a tenth of the pictures."""
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, CLASSES, generator=chance)
    first = torch.randint(CLASSES, (count, 1), generator=chance)
    margin = torch.empty(count, 1).exponential_(0.45, generator=chance)
    rest = logits.scatter(1, first, -torch.inf).amax(1, keepdim=True)
    return logits.scatter(1, first, rest + margin)


def swapped(logits: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """The first two answers change places on the pictures ``which``."""
    values, indices = logits.topk(2, 1)
    changed = logits.clone()
    changed[which] = logits[which].scatter(1, indices[which], values[which].flip(1))
    return changed


def margins(logits: torch.Tensor) -> torch.Tensor:
    first, second = logits.topk(2, 1).values.unbind(1)
    return first - second


def in_order(found: list[Difference]) -> Iterator[list[Difference]]:
    return (found[:count] for count in range(LEAST_PICTURES, len(found) + 1, BATCH))


def verdict_on(original: torch.Tensor, file: torch.Tensor) -> Verdict | None:
    """As a proof decides: pictures are added while the verdict is open."""
    found = differences(original, file)
    judged = (verdicts.judge(some, "pretrained") for some in in_order(found))
    return next(judgement.verdict for judgement in judged if not judgement.is_open)


def flips_three_in_a_hundred(original: torch.Tensor, seed: int) -> torch.Tensor:
    """Where the original is decided, and so little else changes that the cosine stays above 0.999."""
    decided = [number for number, margin in enumerate(margins(original).tolist()) if 0.25 < margin < 0.6]
    chance = random.Random(seed)
    count = sum(chance.random() < 0.03 for _ in range(len(original)))
    return swapped(original, torch.tensor(chance.sample(decided, count)))


def is_float32_again(original: torch.Tensor, seed: int) -> torch.Tensor:
    """Rounding in another order."""
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(seed))
    return original + 1e-5 * noise


def flips_near_ties(original: torch.Tensor, seed: int) -> torch.Tensor:
    """Half of the near ties change places; all else stays."""
    ties = margins(original) < 0.2
    return swapped(original, ties & (torch.rand(len(ties), generator=torch.Generator().manual_seed(seed)) < 0.5))


@pytest.mark.parametrize(
    ("plant", "verdict"),
    [
        (flips_three_in_a_hundred, Verdict.CHANGES),
        (is_float32_again, Verdict.SAME),
        (flips_near_ties, Verdict.UNDECIDED),
    ],
    ids=["three in a hundred", "float32 again", "near ties"],
)
def test_planted_files_get_their_verdict(plant, verdict: Verdict) -> None:  # type: ignore[no-untyped-def]
    wrong = 0
    for seed in range(REPETITIONS):
        original = originals(seed)
        file = plant(original, seed)
        least = float(torch.nn.functional.cosine_similarity(original, file).min())
        assert least > 0.99 if plant is flips_three_in_a_hundred else least > 0.999
        wrong += verdict_on(original, file) is not verdict
    assert wrong <= MOST_WRONG


def probability_of_change(rate: float) -> float:
    """Of the verdict "changes answers", exactly, for a file that flips decided answers at this rate."""
    open_, change = {0: 1.0}, 0.0
    for count in range(1, verdicts.MOST_PICTURES + 1):
        after: dict[int, float] = {}
        for flips, probability in open_.items():
            after[flips] = after.get(flips, 0.0) + probability * (1 - rate)
            after[flips + 1] = after.get(flips + 1, 0.0) + probability * rate
        if count >= LEAST_PICTURES:
            for flips in [*after]:
                evidence = verdicts.evidence_of_change(flips, count)
                if abs(evidence) >= verdicts.DECIDED or count == verdicts.MOST_PICTURES:
                    probability = after.pop(flips)
                    change += probability if evidence > 0 else 0
        open_ = after
    return change


def test_the_error_rates_are_those_of_the_decision() -> None:
    assert probability_of_change(0) == 0
    assert probability_of_change(verdicts.LOW) == pytest.approx(0.011, abs=0.001)
    assert probability_of_change(verdicts.HIGH) == pytest.approx(0.960, abs=0.001)
    assert probability_of_change(0.03) == pytest.approx(0.997, abs=0.001)


def one(margin: float, margin_after: float, file: int = 0) -> Difference:
    return Difference(0, file, margin if file else 0.0, margin, margin_after, 1.0, 1.0, abs(margin - margin_after))


def test_a_difference_has_the_right_numbers() -> None:
    found = difference(torch.tensor([1.0, 3.0, 2.5, 0.0]), torch.tensor([1.0, 2.0, 2.5, 0.0]))
    assert (found.original, found.file, found.is_flipped) == (1, 2, True)
    assert (found.behind, found.margin, found.margin_after, found.move) == (0.5, 0.5, -0.5, 1.0)
    assert (found.shared, found.largest) == (1.0, 1.0)
    assert found.cosine == pytest.approx((1 + 6 + 6.25) / (16.25**0.5 * 11.25**0.5))


def test_the_first_five_are_compared_as_sets() -> None:
    rising = torch.arange(8.0)
    assert difference(rising, rising.flip(0)).shared == 2 / 5
    assert difference(rising[:3], rising[:3].flip(0)).shared == 1.0


def test_few_pictures_give_no_verdict_unless_nothing_moves() -> None:
    still = [one(1.0 + number, 1.0 + number) for number in range(20)]
    still[0] = Difference(1, 1, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    assert verdicts.judge(still, "pretrained").verdict is Verdict.SAME
    moving = [*still[:-1], one(1.0, 0.7)]
    judged = verdicts.judge(moving, "pretrained")
    assert (judged.verdict, judged.reason, judged.is_open) == (None, verdicts.TOO_FEW, True)


def test_an_answer_that_never_flips_but_moves_into_reach_is_not_called_the_same() -> None:
    """With more pictures some would flip: the moves are as large as many margins."""
    found = [Difference(step % 7, step % 7, 0.0, 0.01 * step, 0.01 * step + 0.3, 1, 1, 0.3) for step in range(220)]
    assert verdicts.judge(found, "pretrained").verdict is Verdict.UNDECIDED


def test_random_weights_get_no_verdict() -> None:
    proof = summary([one(1.0, -1.0, file=2)] * 300, "random", "torch")
    assert (proof.verdict, proof.no_verdict) == (None, verdicts.RANDOM)
    assert proof.flips == 300


def test_an_original_that_always_answers_the_same_gets_no_verdict() -> None:
    proof = summary([one(1.0, 1.0)] * 300, "pretrained", "torch")
    assert (proof.verdict, proof.no_verdict) == (None, verdicts.CONSTANT)


def test_a_proof_sums_up_its_differences() -> None:
    found = [
        Difference(0, 0, 0.0, 1.0, 0.9, 1.0, 0.999, 0.2),
        Difference(1, 2, 0.1, 0.1, -0.1, 0.8, 0.99, 0.5),
        Difference(2, 3, 2.0, 2.0, 1.0, 0.6, 0.98, 3.0),
    ]
    proof = summary(found, "pretrained", "torch")
    assert (proof.pictures, proof.flips, proof.decided_flips) == (3, 2, 1)
    assert proof.agreement == pytest.approx(2 / 3)
    assert (proof.margin_median, proof.move_median) == pytest.approx((1.0, 0.2))
    assert proof.within_reach == pytest.approx(1 / 3)
    assert (proof.top5_overlap, proof.cosine, proof.max_abs_difference) == pytest.approx((0.8, 0.98, 3.0))
    assert proof.flip_interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
