"""Scores of a model: accuracy with its interval, calibration, confusion, and the difference between two models.

Shares and probabilities are 0..1. Imports the standard library only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from deploy_core.shares import Z, wilson

BINS = 15


@dataclass(frozen=True)
class PredictionColumns:
    """The answers of one model or artifact; each tuple has one entry per picture, in the same order.

    ``top1`` is the most probable class, ``probability`` its probability, ``in_top5`` whether the true class is among
    the five most probable. ``seconds`` is the time for all answers, without reading the pictures.
    """

    top1: tuple[int, ...] = ()
    probability: tuple[float, ...] = ()
    in_top5: tuple[bool, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Bin:
    """Answers with similar probabilities: their number, their mean probability, and the share that is right."""

    count: int
    probability: float
    accuracy: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: ``count`` pictures of the class ``true`` were classified as ``answered``."""

    true: int
    answered: int
    count: int


@dataclass(frozen=True)
class PairedDifference:
    """The difference between the answers of two models to the same pictures.

    ``flipped`` counts the pictures with different first answers, right or wrong. ``gained`` and ``lost`` count those
    that only the first, or only the second, has right. ``top1`` is the difference of their top-1, ``interval`` its 95 %
    interval. The comparison is paired, so its interval is narrower than those of the two top-1 values. Half a picture
    is added to each of the four cases, so that it also holds for few pictures and for equal answers (Agresti and Min,
    "Simple improved confidence intervals for comparing matched proportions", 2005).
    """

    flipped: int
    gained: int
    lost: int
    top1: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Score:
    """The scores of one model or artifact; ``per_class`` is the accuracy of each class, None for one without pictures.

    ``top1_interval`` is Wilson's 95 % interval; ``ece`` is the expected calibration error over 15 bins of equal width
    (Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv 1706.04599).
    """

    count: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    ece: float
    mean_probability: float
    images_per_second: float
    per_class: dict[str, float | None] = field(repr=False)
    confusion: tuple[Cell, ...] = field(repr=False)
    calibration: tuple[Bin, ...] = field(repr=False)

    @property
    def ece_by_chance(self) -> float:
        """The ``ece`` to expect of a perfectly calibrated model with as many pictures: few pictures raise it.

        The mean distance of a binomial share from its probability, in the normal approximation, summed over the bins.
        """
        spread = (part.count * part.probability * (1 - part.probability) for part in self.calibration)
        return sum(math.sqrt(2 / math.pi * variance) for variance in spread) / self.count


def score(answers: PredictionColumns, true: Sequence[int], classes: dict[str, int]) -> Score:
    """The scores of ``answers`` to pictures of the classes ``true``; ``classes`` maps the set's classes to indices.

    Takes at least one picture.
    """
    count = len(true)
    right = [answered == label for answered, label in zip(answers.top1, true, strict=True)]
    bins = _bins(answers.probability, right)
    of_class = Counter(true)
    right_of_class = Counter(label for label, hit in zip(true, right, strict=True) if hit)
    return Score(
        count=count,
        top1=sum(right) / count,
        top1_interval=wilson(sum(right), count),
        top5=sum(answers.in_top5) / count,
        ece=sum(part.count * abs(part.accuracy - part.probability) for part in bins) / count,
        mean_probability=math.fsum(answers.probability) / count,
        images_per_second=count / answers.seconds if answers.seconds else 0.0,
        per_class={
            name: right_of_class[index] / of_class[index] if of_class[index] else None
            for name, index in classes.items()
        },
        confusion=tuple(
            Cell(label, answered, number)
            for (label, answered), number in sorted(Counter(zip(true, answers.top1, strict=True)).items())
        ),
        calibration=bins,
    )


def paired_difference(first: PredictionColumns, second: PredictionColumns, true: Sequence[int]) -> PairedDifference:
    """Compares ``first`` with ``second``, picture by picture."""
    count = len(true)
    pairs = Counter(
        (one == label, other == label) for one, other, label in zip(first.top1, second.top1, true, strict=True)
    )
    gained, lost = pairs[True, False], pairs[False, True]
    more, size = gained - lost, count + 2
    center = more / size
    half = Z * math.sqrt(gained + lost + 1 - more**2 / size) / size
    flipped = sum(one != other for one, other in zip(first.top1, second.top1, strict=True))
    return PairedDifference(flipped, gained, lost, more / count, (max(-1.0, center - half), min(1.0, center + half)))


def matrix(confusion: Sequence[Cell], classes: int) -> list[list[int]]:
    """The full confusion matrix: a row for each true class, a column for each answer."""
    rows = [[0] * classes for _ in range(classes)]
    for cell in confusion:
        rows[cell.true][cell.answered] = cell.count
    return rows


def totals(confusion: Sequence[Cell]) -> dict[int, int]:
    """The number of pictures of each class, by class index, in order."""
    counts = Counter[int]()
    for cell in confusion:
        counts[cell.true] += cell.count
    return dict(sorted(counts.items()))


def mistakes(confusion: Sequence[Cell]) -> list[Cell]:
    """The cells off the diagonal, the largest first."""
    return sorted((cell for cell in confusion if cell.true != cell.answered), key=lambda cell: -cell.count)


@dataclass(frozen=True)
class Excerpt:
    """The part of a confusion matrix that is drawn, by class index: ``rows`` are true classes, ``columns`` answers.

    ``elsewhere`` counts the answers of each row that have no column.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    cells: tuple[Cell, ...]
    elsewhere: dict[int, int]


def excerpt(confusion: Sequence[Cell], most: int) -> Excerpt:
    """At most ``most`` rows and columns, of the largest mistakes. ``cells`` and ``elsewhere`` count every answer."""
    of_class = totals(confusion)
    rows = [index for index in mixed_up(confusion, most) if index in of_class]
    cells = [cell for cell in confusion if cell.true in rows]
    others = Counter[int]()
    for cell in cells:
        if cell.answered not in rows:
            others[cell.answered] += cell.count
    columns = sorted([*rows, *(index for index, _ in others.most_common(most - len(rows)))])
    elsewhere = Counter[int]()
    for cell in cells:
        if cell.answered not in columns:
            elsewhere[cell.true] += cell.count
    drawn = tuple(cell for cell in cells if cell.answered in columns)
    return Excerpt(tuple(rows), tuple(columns), drawn, dict(elsewhere))


def mixed_up(confusion: Sequence[Cell], most: int) -> list[int]:
    """At most ``most`` classes, in order: all that have pictures, if they fit, else those of the largest mistakes."""
    classes = list(totals(confusion))
    if len(classes) <= most:
        return classes
    worst = dict.fromkeys(index for cell in mistakes(confusion) for index in (cell.true, cell.answered))
    return sorted(list(worst)[:most])


def _bins(probabilities: Sequence[float], right: Sequence[bool]) -> tuple[Bin, ...]:
    """The bins of equal width over 0..1 that hold an answer."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for probability, hit in zip(probabilities, right, strict=True):
        members.setdefault(min(int(probability * BINS), BINS - 1), []).append((probability, hit))
    return tuple(
        Bin(
            len(answers),
            math.fsum(probability for probability, _ in answers) / len(answers),
            sum(hit for _, hit in answers) / len(answers),
        )
        for _, answers in sorted(members.items())
    )
