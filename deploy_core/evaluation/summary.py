"""What stands out in an evaluation: the files that lose, who gives which answer, classes without pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy_core.evaluation.results import Disagreement, Evaluation


@dataclass(frozen=True)
class Loss:
    """Top-1 against the original's, as a fraction: ``change`` of the ``subject`` that loses most.

    ``lowest`` is the lowest end of any subject's 95 % interval.
    """

    subject: str
    change: float
    lowest: float


@dataclass(frozen=True)
class SharedAnswer:
    """One answer to a picture, the subjects that gave it, and their lowest and highest confidence, 0..1."""

    answer: int
    subjects: tuple[str, ...]
    least: float
    most: float


def largest_loss(evaluation: Evaluation) -> Loss | None:
    """The largest loss against the first subject; None if that one was evaluated alone."""
    changes = {result.subject: result.change for result in evaluation.results if result.change}
    if not changes:
        return None
    subject, worst = min(changes.items(), key=lambda item: item[1].top1)
    return Loss(subject, worst.top1, min(change.interval[0] for change in changes.values()))


def measurably_worse(evaluation: Evaluation) -> tuple[str, ...]:
    """The subjects whose top-1 is lower than the first's, even at the high end of the 95 % interval."""
    return tuple(
        result.subject for result in evaluation.results if result.change is not None and result.change.interval[1] < 0
    )


def shared_answers(disagreement: Disagreement) -> tuple[SharedAnswer, ...]:
    """The different answers to a picture, the most frequent first."""
    opinions = disagreement.opinions
    answers = dict.fromkeys(opinion.answer for opinion in opinions)
    grouped = [[opinion for opinion in opinions if opinion.answer == answer] for answer in answers]
    return tuple(
        SharedAnswer(
            group[0].answer,
            tuple(opinion.subject for opinion in group),
            min(opinion.probability for opinion in group),
            max(opinion.probability for opinion in group),
        )
        for group in sorted(grouped, key=len, reverse=True)
    )


def classes_without_pictures(evaluation: Evaluation) -> Sequence[str]:
    return [name for name, share in evaluation.results[0].score.per_class.items() if share is None]
