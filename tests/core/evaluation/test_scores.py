"""Scores computed by hand, and published intervals."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from deploy_core import shares
from deploy_core.evaluation import scores
from deploy_core.evaluation.scores import Bin, Cell, PredictionColumns

CLASSES = {"cat": 0, "dog": 1, "fox": 2}
TRUE = (0, 0, 0, 1)
ANSWERS = PredictionColumns(
    top1=(0, 0, 1, 1), probability=(0.95, 0.94, 0.6, 0.8), in_top5=(True, True, False, True), seconds=2.0
)


def test_the_figures_of_answers_counted_by_hand() -> None:
    found = scores.score(ANSWERS, TRUE, CLASSES)
    assert (found.count, found.top1, found.top5) == (4, 0.75, 0.75)
    assert found.per_class == {"cat": 2 / 3, "dog": 1.0, "fox": None}
    assert found.confusion == (Cell(0, 0, 2), Cell(0, 1, 1), Cell(1, 1, 1))
    assert found.mean_probability == pytest.approx(0.8225)
    assert found.images_per_second == 2.0


def test_calibration_is_the_gap_between_certainty_and_accuracy_by_bin() -> None:
    found = scores.score(ANSWERS, TRUE, CLASSES)
    assert [(part.count, part.accuracy) for part in found.calibration] == [(1, 0.0), (1, 1.0), (2, 1.0)]
    assert [part.probability for part in found.calibration] == pytest.approx([0.6, 0.8, 0.945])
    assert found.ece == pytest.approx((0.6 + 0.2 + 2 * 0.055) / 4)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_ends_of_the_scale_have_a_bin(probability: float) -> None:
    found = scores.score(PredictionColumns((0,), (probability,), (True,)), (0,), {"cat": 0})
    assert found.calibration == (Bin(1, probability, 1.0),)


def test_perfectly_calibrated_answers_have_no_error() -> None:
    right = [True] * 7 + [False] * 3
    replies = PredictionColumns(tuple(0 if hit else 1 for hit in right), (0.7,) * 10, (True,) * 10)
    assert scores.score(replies, (0,) * 10, {"cat": 0}).ece == pytest.approx(0.0)


def test_the_error_that_chance_alone_gives_is_that_of_calibrated_answers() -> None:
    """The mean of the ``ece`` of answers that are right as often as their probabilities say."""
    chance = random.Random(3)
    probabilities = tuple(chance.betavariate(2, 1) for _ in range(500))
    found = []
    for _ in range(200):
        answers = tuple(int(chance.random() >= probability) for probability in probabilities)
        replies = PredictionColumns(answers, probabilities, (True,) * 500)
        found.append(scores.score(replies, (0,) * 500, {"cat": 0}))
    assert found[0].ece_by_chance == pytest.approx(statistics.fmean(each.ece for each in found), rel=0.05)
    few = scores.score(ANSWERS, TRUE, CLASSES)
    assert few.ece_by_chance > found[0].ece_by_chance


def test_wilson_gives_the_published_interval() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263."""
    assert shares.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert shares.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert shares.wilson(20, 20)[1] == 1.0


def test_a_change_counts_only_the_pictures_that_one_has_right() -> None:
    ours = PredictionColumns((0, 0, 1, 1), (0.9,) * 4, (True,) * 4)
    theirs = PredictionColumns((0, 1, 0, 1), (0.9,) * 4, (True,) * 4)
    found = scores.paired_difference(ours, theirs, (0, 0, 0, 0))
    assert (found.flipped, found.gained, found.lost, found.top1) == (2, 1, 1, 0.0)
    assert found.interval == pytest.approx((-shares.Z * math.sqrt(3) / 6, shares.Z * math.sqrt(3) / 6))


def test_another_wrong_answer_is_flipped_and_neither_gained_nor_lost() -> None:
    ours = PredictionColumns((0, 2, 2), (0.9,) * 3, (True,) * 3)
    theirs = PredictionColumns((0, 1, 2), (0.9,) * 3, (True,) * 3)
    found = scores.paired_difference(ours, theirs, (0, 0, 0))
    assert (found.flipped, found.gained, found.lost) == (1, 0, 0)


def test_few_equal_answers_leave_a_loss_possible() -> None:
    """The rule of three: no loss in 12 pictures still allows a quarter; in 10,000, a fiftieth of a point."""
    all_right = PredictionColumns((0,) * 12, (0.9,) * 12, (True,) * 12)
    few = scores.paired_difference(all_right, all_right, (0,) * 12)
    assert (few.gained, few.lost, few.top1) == (0, 0, 0.0)
    assert few.interval == pytest.approx((-0.14, 0.14), abs=0.01)
    all_right = PredictionColumns((0,) * 10_000, (0.9,) * 10_000, (True,) * 10_000)
    many = scores.paired_difference(all_right, all_right, (0,) * 10_000)
    assert many.interval == pytest.approx((-0.0002, 0.0002), abs=1e-5)


def test_a_change_stays_within_what_is_possible() -> None:
    wrong, right = (
        PredictionColumns((1, 1), (0.9,) * 2, (True,) * 2),
        PredictionColumns((0, 0), (0.9,) * 2, (True,) * 2),
    )
    found = scores.paired_difference(wrong, right, (0, 0))
    assert found.top1 == -1.0 == found.interval[0]
    assert found.interval[1] < 0.5


def test_the_matrix_has_a_row_for_each_true_class() -> None:
    found = scores.score(ANSWERS, TRUE, CLASSES)
    assert scores.matrix(found.confusion, 3) == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_no_answer_of_a_drawn_class_is_left_out() -> None:
    """All pictures are of one class, and some answers are classes without pictures."""
    cells = (Cell(3, 3, 9), Cell(3, 4, 2), Cell(3, 5, 1))
    assert scores.excerpt(cells, 20) == scores.Excerpt((3,), (3, 4, 5), cells, {})
    assert scores.excerpt(cells, 2) == scores.Excerpt((3,), (3, 4), cells[:2], {3: 1})
    many = tuple(Cell(true, (true * 7 + step) % 40, 3 - step) for true in range(40) for step in range(3))
    drawn = scores.excerpt(many, 10)
    assert len(drawn.rows) <= len(drawn.columns) <= 10
    for row in drawn.rows:
        shown = sum(cell.count for cell in drawn.cells if cell.true == row)
        assert shown + drawn.elsewhere.get(row, 0) == scores.totals(many)[row]


def test_the_largest_mistakes_come_first_and_many_classes_are_thinned() -> None:
    cells = (Cell(0, 0, 5), Cell(0, 2, 1), Cell(1, 1, 6), Cell(2, 0, 3), Cell(2, 2, 3))
    assert scores.mistakes(cells) == [Cell(2, 0, 3), Cell(0, 2, 1)]
    assert scores.totals(cells) == {0: 6, 1: 6, 2: 6}
    assert scores.mixed_up(cells, 3) == [0, 1, 2]
    assert scores.mixed_up(cells, 2) == [0, 2]
