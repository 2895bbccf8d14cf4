"""What stands out in an evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy_core import embedded
from deploy_core.evaluation import summary
from deploy_core.evaluation.results import Disagreement, Opinion, read_evaluation

SAVED = read_evaluation(embedded.SAVED_EVALUATION)


def test_the_largest_loss_is_of_the_file_with_the_lowest_top1() -> None:
    loss = summary.largest_loss(SAVED)
    assert loss
    tops = {result.subject: result.score.top1 for result in SAVED.results[1:]}
    assert tops[loss.subject] == min(tops.values())
    assert loss.change == pytest.approx(tops[loss.subject] - SAVED.results[0].score.top1)
    assert loss.lowest <= loss.change


def test_the_original_alone_loses_nothing() -> None:
    assert summary.largest_loss(replace(SAVED, results=SAVED.results[:1])) is None


def test_answers_are_grouped_with_the_most_frequent_first() -> None:
    opinions = (Opinion("original", 1, 0.6), Opinion("scripted", 2, 0.5), Opinion("lite", 2, 0.7))
    frequent, rare = summary.shared_answers(Disagreement("cat/1.png", 1, opinions, ""))
    assert (frequent.answer, frequent.subjects, frequent.least, frequent.most) == (2, ("scripted", "lite"), 0.5, 0.7)
    assert (rare.answer, rare.subjects) == (1, ("original",))


def test_a_class_without_pictures_is_listed() -> None:
    assert summary.classes_without_pictures(SAVED) == []
    first = SAVED.results[0]
    score = replace(first.score, per_class=first.score.per_class | {"frog": None})
    assert summary.classes_without_pictures(replace(SAVED, results=(replace(first, score=score),))) == ["frog"]
