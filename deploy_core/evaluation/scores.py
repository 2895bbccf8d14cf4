"""From answers to figures: how often a model is right, how sure that is, and whether its own certainty can be trusted.

Everything here is a fraction, 0..1. The standard library only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

BINS = 15
# The 97.5th percentile of the normal distribution: intervals are 95 % ones.
Z = 1.959964


@dataclass(frozen=True)
class Replies:
    """What one model or artifact answered to several pictures, in their order.

    ``top1`` is the class it finds most probable, ``probability`` how probable, ``in_top5`` whether the true class is
    among its first five; ``seconds`` is the time that answering took, without reading the pictures.
    """

    top1: tuple[int, ...] = ()
    probability: tuple[float, ...] = ()
    in_top5: tuple[bool, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Bin:
    """Answers of similar certainty: how many, how sure they are on average, and what share of them is right."""

    count: int
    probability: float
    accuracy: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: ``count`` pictures of the class ``true`` were called ``answered``."""

    true: int
    answered: int
    count: int


@dataclass(frozen=True)
class Change:
    """One set of answers against another's to the same pictures.

    ``gained`` and ``lost`` are pictures that only this one, or only the other, has right; ``top1`` is the difference
    of the top-1, and ``interval`` where it lies with 95 % confidence. Paired, so it is far narrower than the two
    intervals of the top-1 themselves; with half a picture added to each of the four cases, so that it holds for few
    pictures and where nothing differs (Agresti and Min, "Simple improved confidence intervals for comparing matched
    proportions", 2005).
    """

    gained: int
    lost: int
    top1: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Score:
    """The figures of one model or artifact; ``None`` in ``per_class`` where there was no picture of a class.

    ``top1_interval`` is Wilson's 95 % interval; ``ece`` the expected calibration error over 15 bins of equal width
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


def score(replies: Replies, true: Sequence[int], classes: dict[str, int]) -> Score:
    """The figures of ``replies`` to pictures whose classes are ``true``; ``classes`` are those that the set has.

    At least one picture is expected.
    """
    count = len(true)
    right = [answered == label for answered, label in zip(replies.top1, true, strict=True)]
    bins = _bins(replies.probability, right)
    of_class = Counter(true)
    right_of_class = Counter(label for label, hit in zip(true, right, strict=True) if hit)
    return Score(
        count=count,
        top1=sum(right) / count,
        top1_interval=wilson(sum(right), count),
        top5=sum(replies.in_top5) / count,
        ece=sum(part.count * abs(part.accuracy - part.probability) for part in bins) / count,
        mean_probability=math.fsum(replies.probability) / count,
        images_per_second=count / replies.seconds if replies.seconds else 0.0,
        per_class={
            name: right_of_class[index] / of_class[index] if of_class[index] else None
            for name, index in classes.items()
        },
        confusion=tuple(
            Cell(label, answered, number)
            for (label, answered), number in sorted(Counter(zip(true, replies.top1, strict=True)).items())
        ),
        calibration=bins,
    )


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; unlike the textbook's, it stays inside 0..1, also for few pictures."""
    share, weight = hits / count, Z * Z / count
    center = (share + weight / 2) / (1 + weight)
    half = Z * math.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, center - half), min(1.0, center + half)


def change(replies: Replies, others: Replies, true: Sequence[int]) -> Change:
    """``replies`` against ``others``, picture by picture."""
    count = len(true)
    pairs = Counter(
        (ours == label, theirs == label) for ours, theirs, label in zip(replies.top1, others.top1, true, strict=True)
    )
    gained, lost = pairs[True, False], pairs[False, True]
    more, size = gained - lost, count + 2
    center = more / size
    half = Z * math.sqrt(gained + lost + 1 - more**2 / size) / size
    return Change(gained, lost, more / count, (max(-1.0, center - half), min(1.0, center + half)))


def matrix(confusion: Sequence[Cell], classes: int) -> list[list[int]]:
    """The whole confusion matrix: a row for each true class, a column for each answer."""
    rows = [[0] * classes for _ in range(classes)]
    for cell in confusion:
        rows[cell.true][cell.answered] = cell.count
    return rows


def totals(confusion: Sequence[Cell]) -> dict[int, int]:
    """How many pictures each class has, by its index, in order."""
    counts = Counter[int]()
    for cell in confusion:
        counts[cell.true] += cell.count
    return dict(sorted(counts.items()))


def mistakes(confusion: Sequence[Cell]) -> list[Cell]:
    """The cells beside the diagonal, the largest first."""
    return sorted((cell for cell in confusion if cell.true != cell.answered), key=lambda cell: -cell.count)


@dataclass(frozen=True)
class Excerpt:
    """What is drawn of a confusion matrix: classes by index, ``rows`` those that pictures have, ``columns`` answers.

    ``elsewhere`` counts, by row, the answers that have no column.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    cells: tuple[Cell, ...]
    elsewhere: dict[int, int]


def excerpt(confusion: Sequence[Cell], most: int) -> Excerpt:
    """At most ``most`` classes each way, those of the largest mistakes first; no answer of a row is left out."""
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
    """The classes of the largest mistakes, at most so many, in order; all classes that have pictures where they fit."""
    classes = list(totals(confusion))
    if len(classes) <= most:
        return classes
    worst = dict.fromkeys(index for cell in mistakes(confusion) for index in (cell.true, cell.answered))
    return sorted(list(worst)[:most])


def _bins(probabilities: Sequence[float], right: Sequence[bool]) -> tuple[Bin, ...]:
    """Bins of equal width over 0..1, without the empty ones."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for probability, hit in zip(probabilities, right, strict=True):
        members.setdefault(min(int(probability * BINS), BINS - 1), []).append((probability, hit))
    return tuple(
        Bin(
            len(found),
            math.fsum(probability for probability, _ in found) / len(found),
            sum(hit for _, hit in found) / len(found),
        )
        for _, found in sorted(members.items())
    )
