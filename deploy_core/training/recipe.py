"""The recipe of a training run: every number that decides it. It is saved in the checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deploy_core.models.spec import Architecture

DEIT_TINY = Architecture(family="distilled", width=192, depth=12, heads=3, hidden=768, patch=16, size=224, classes=1000)
# The batch that the rates below are for.
USUAL_BATCH = 1024
LEAST_RATE = 0.005


@dataclass(frozen=True)
class Phase:
    """A part of the run: it begins when the share ``begins`` (0..1) of the run is over.

    The student sees crops of ``size`` x ``size`` pixels, each at least ``least_area`` (0..1) of a photograph.
    """

    begins: float
    size: int
    least_area: float


@dataclass(frozen=True)
class Recipe:
    """How a student is distilled.

    - ``student``: the architecture, of the family ``distilled``
    - ``start``: the SHA-256 of the weights that the student begins with, or empty if they are random
    - ``minutes``, ``samples``: the run ends after so many minutes, or after so many crops, whichever comes first
    - ``teacher_size``: the teacher sees the same crops, with at least so many pixels a side
    - ``rate``: the learning rate at its highest, for a batch of 1024
    - ``warm_up``: the share of the run in which the rate rises
    - ``mixed``: the share of the batches that are mixtures
    - ``smoothing``: the label smoothing of true labels, if there are any
    - ``decay``: how slowly the averaged weights follow
    """

    student: Architecture = DEIT_TINY
    start: str = ""
    minutes: float = math.inf
    samples: float = math.inf
    phases: tuple[Phase, ...] = (Phase(0.0, 128, 0.25), Phase(0.72, 224, 0.35))
    teacher_size: int = 192
    batch: int = USUAL_BATCH
    rate: float = 2e-3
    weight_decay: float = 0.03
    warm_up: float = 0.02
    mixed: float = 0.5
    smoothing: float = 0.1
    decay: float = 0.9995
    seed: int = 0

    def share(self, seconds: float, samples: int) -> float:
        """How much of the run is over after ``seconds`` and ``samples``; 1 at its end."""
        return max(seconds / 60 / self.minutes, samples / self.samples)

    def phase(self, share: float) -> Phase:
        return [phase for phase in self.phases if phase.begins <= share][-1]

    def rate_at(self, share: float) -> float:
        """The learning rate when ``share`` of the run is over: a linear rise, then half a cosine.

        It grows with the square root of the batch, as adaptive optimizers need it (arXiv 2205.10287).
        """
        highest = self.rate * math.sqrt(self.batch / USUAL_BATCH)
        rise = min(1.0, share / self.warm_up) if self.warm_up else 1.0
        return highest * max(LEAST_RATE, rise * (1 + math.cos(math.pi * min(1.0, share))) / 2)


def going_on(student: Architecture, start: str) -> Recipe:
    """The recipe for trained weights, whose SHA-256 is ``start``: at full size from the beginning, at a lower rate."""
    return Recipe(student=student, start=start, phases=(Phase(0.0, student.size, 0.35),), rate=5e-4)
