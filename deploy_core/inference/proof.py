"""Proves a file: compares its answers with the original's, on as many photographs as a verdict needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deploy_core.formats import Format, engines
from deploy_core.inference import verdicts, views
from deploy_core.inference.classify import Classifier
from deploy_core.inference.differences import Difference, differences
from deploy_core.pictures import preprocess
from deploy_core.settings import Settings
from deploy_core.shares import wilson
from deploy_core.types import MovedPicture, PhoneProof, PictureView, Proof

if TYPE_CHECKING:
    import torch

# A verdict takes at least this many pictures: fewer only from a model that does not answer them in time.
LEAST_PICTURES = 200
# Seconds of a file's answers: after the first, fewer pictures suffice if the verdict is clear; after the second, none
# may follow.
ENOUGH_TIME, MOST_TIME = 10.0, 90.0
BATCH = 8
MOVED_SHOWN = 3
# qnnpack takes about 20 times as long on a PC as on a phone, so few pictures must do.
PHONE_PICTURES, PHONE_TIME = 8, 3.0


class Reference:
    """The pictures of a build's proofs, and the original's answers to them, asked once for all files."""

    def __init__(self, original: Classifier, settings: Settings) -> None:
        self.original = original
        self._settings = settings
        self._endless = views.views()
        self._views: list[PictureView] = []
        self._pixels: list[NDArray[np.uint8]] = []
        self._logits: list[torch.Tensor] = []

    def views(self, count: int) -> Sequence[PictureView]:
        self._views += islice(self._endless, max(0, count - len(self._views)))
        return self._views[:count]

    def inputs(self, start: int, stop: int) -> torch.Tensor:
        """The model's input for some of the pictures, float32 (N, 3, S, S)."""
        import torch

        how = self.original.spec.preprocessing
        for view in self.views(stop)[len(self._pixels) :]:
            self._pixels.append(np.asarray(preprocess.crop(views.picture_of(view, self._settings), how)))
        inputs = [preprocess.normalize(pixels, how) for pixels in self._pixels[start:stop]]
        return torch.from_numpy(np.concatenate(inputs))

    def logits(self, start: int, stop: int) -> torch.Tensor:
        """The original's answers to them, float32 (N, classes). Raises InvalidArtifact."""
        import torch

        while len(self._logits) < stop:
            known = len(self._logits)
            self._logits += self.original.batch_logits(self.inputs(known, known + BATCH))
        return torch.stack(self._logits[start:stop])


def prove(file: Classifier, row: Format, reference: Reference, clock: Callable[[], float] = time.perf_counter) -> Proof:
    """Compares a file of ``row`` with the original until the verdict is clear, or the time is over.

    Where int8 depends on the batch, it gets one picture at a time, as on a phone. Raises InvalidArtifact.
    """
    step = 1 if row.answers_depend_on_batch or not row.takes_batches else BATCH
    weights = reference.original.weights
    found: list[Difference] = []
    spent = 0.0
    while len(found) < verdicts.MOST_PICTURES and spent < MOST_TIME:
        start, stop = len(found), min(len(found) + step, verdicts.MOST_PICTURES)
        inputs = reference.inputs(start, stop)
        started = clock()
        answers = file.batch_logits(inputs)
        spent += clock() - started
        found += differences(reference.logits(start, stop), answers)
        is_enough = len(found) >= LEAST_PICTURES or spent > ENOUGH_TIME
        if is_enough and not verdicts.judge(found, weights).is_open:
            break
    return summary(found, weights, row.run_engine(), _moved(found, reference))


def summary(
    found: Sequence[Difference], weights: str, engine: str, moved: Sequence[MovedPicture] = (), no_verdict: str = ""
) -> Proof:
    """The proof that at least one difference gives; ``no_verdict`` says why these pictures cannot give a verdict."""
    judgement = verdicts.Judgement(None, no_verdict) if no_verdict else verdicts.judge(found, weights)
    moves = sorted(one.move for one in found)
    margins = sorted(one.margin for one in found)
    flips = sum(one.is_flipped for one in found)
    return Proof(
        pictures=len(found),
        engine=engine,
        flips=flips,
        decided_flips=verdicts.decided_flips(found),
        flip_interval=wilson(flips, len(found)),
        margin_median=float(np.median(margins)),
        move_median=float(np.median(moves)),
        move_p95=verdicts.percentile_95(moves),
        within_reach=verdicts.within_reach(found),
        top5_overlap=float(np.mean([one.shared for one in found])),
        cosine=min(one.cosine for one in found),
        max_abs_difference=max(one.largest for one in found),
        verdict=judgement.verdict,
        no_verdict=judgement.reason,
        moved=tuple(moved),
    )


@dataclass(frozen=True)
class OnPhone:
    """A proof under the engine of phones, and the logits of the first picture there, float32 (classes,)."""

    proof: PhoneProof
    first_logits: torch.Tensor


def prove_as_on_phone(
    path: Path, row: Format, reference: Reference, here: Classifier, clock: Callable[[], float] = time.perf_counter
) -> OnPhone | None:
    """The comparison under the engine of phones, on few pictures. ``here`` is the file under this machine's engine.

    None where this machine computes as phones do, or has not their engine. Raises InvalidArtifact.
    """
    if row.load_as_on_phone is None or engines.PHONE_ENGINE not in engines.supported():
        return None
    import torch

    phone = Classifier(here.spec, here.weights, here.labels, row.load_as_on_phone(path))
    answers: list[torch.Tensor] = []
    started = clock()
    while not answers or (len(answers) < PHONE_PICTURES and clock() - started < PHONE_TIME):
        answers.append(phone.logits(reference.inputs(len(answers), len(answers) + 1)))
    count, logits = len(answers), torch.stack(answers)
    ours = torch.stack([here.logits(reference.inputs(number, number + 1)) for number in range(count)])
    against_original = differences(reference.logits(0, count), logits)
    against_here = differences(ours, logits)
    proof = PhoneProof(
        engine=engines.PHONE_ENGINE,
        pictures=count,
        flips=sum(one.is_flipped for one in against_original),
        cosine=min(one.cosine for one in against_original),
        max_abs_difference=max(one.largest for one in against_original),
        cosine_here=min(one.cosine for one in against_here),
        max_abs_difference_here=max(one.largest for one in against_here),
    )
    return OnPhone(proof, answers[0])


def _moved(found: Sequence[Difference], reference: Reference) -> list[MovedPicture]:
    shown, labels = reference.views(len(found)), reference.original.labels
    most = sorted(range(len(found)), key=lambda number: found[number].move, reverse=True)[:MOVED_SHOWN]
    return [
        MovedPicture(
            view=shown[number],
            original=labels[found[number].original],
            file=labels[found[number].file],
            margin=found[number].margin,
            margin_after=found[number].margin_after,
        )
        for number in most
    ]
