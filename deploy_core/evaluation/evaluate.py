"""Evaluates models and artifacts on labelled pictures: how often each is right, and where they differ.

The pictures are answered in shards of fixed size. A cluster gets the same shards (``cluster``), so its answers are the
same.
"""

from __future__ import annotations

import base64
import itertools
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.errors import InvalidPicture, InvalidPictureSet
from deploy_core.evaluation import labelled, scores
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.evaluation.labelled import Entry, LabelledSet
from deploy_core.evaluation.results import Disagreement, Evaluation, Opinion, Result, ShardResult
from deploy_core.evaluation.scores import PredictionColumns
from deploy_core.evaluation.subjects import Subject
from deploy_core.formats import FORMATS
from deploy_core.inference import proof, verdicts
from deploy_core.inference.classify import tensor_from
from deploy_core.inference.differences import differences
from deploy_core.models import catalogue
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import pool
from deploy_core.pictures.formats import READABLE
from deploy_core.pictures.pool import Decoders, Prepared
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress, Proof, silent

if TYPE_CHECKING:
    import torch

SHARD = 64
THUMBNAIL = 96
DISAGREEMENTS_KEPT = 60


@dataclass(frozen=True)
class Shard:
    """A few pictures of a set: ``classes`` are their true class indices, ``data`` their bytes, None if unreadable."""

    number: int
    names: tuple[str, ...]
    classes: tuple[int, ...]
    data: tuple[bytes | None, ...] = field(repr=False)


def open_pictures(path: Path, spec: ModelSpec, settings: Settings, skip_unknown: bool = False) -> LabelledSet:
    """A labelled set. With ``skip_unknown``, folders that are named after no class of the model are left out.

    Raises UnknownClasses for such folders otherwise, or if no other remains, and InvalidPictureSet.
    """
    names = ClassNames(spec)
    pictures = labelled.open_set(path, settings, names.knows)
    unknown = {name for name in pictures.classes if not names.knows(name)}
    if skip_unknown and len(unknown) < len(pictures.classes):
        pictures = pictures.without(unknown)
    names.indices(pictures.classes)
    return pictures


def evaluate(
    subjects: Sequence[Subject], pictures: LabelledSet, settings: Settings, progress: Progress = silent
) -> Evaluation:
    """Asks every subject about every picture. All belong to one model; the others are compared with the first.

    Raises InvalidPictureSet if no picture can be read, InvalidArtifact for a subject that cannot answer.
    """
    first = subjects[0].classifier
    parts = (answer_shard(shard, subjects, settings) for shard in shards(pictures, first.spec))
    return summarize([subject.name for subject in subjects], first.spec, first.weights, pictures, parts, progress)


def shards(pictures: LabelledSet, spec: ModelSpec) -> Iterator[Shard]:
    """The set in pieces of ``SHARD`` pictures."""
    indices = ClassNames(spec).indices(pictures.classes)
    for number, part in enumerate(_pieces(pictures)):
        entries = [entry for entry, _ in part]
        yield Shard(
            number,
            tuple(entry.name for entry in entries),
            tuple(indices[entry.label] for entry in entries),
            tuple(data for _, data in part),
        )


def answer_shard(shard: Shard, subjects: Sequence[Subject], settings: Settings) -> ShardResult:
    """The answers of every subject to the readable pictures of a shard. Raises InvalidArtifact."""
    spec, reading = subjects[0].classifier.spec, pool.shared(settings)

    def prepare(data: bytes | None) -> Prepared | None:
        try:
            return None if data is None else reading.prepare(data, spec.preprocessing, whole=True)
        except InvalidPicture:
            return None

    with ThreadPoolExecutor(reading.at_once) as together:
        prepared = list(together.map(prepare, shard.data))
    readable = [position for position, picture in enumerate(prepared) if picture is not None]
    classes = tuple(shard.classes[position] for position in readable)
    names = tuple(shard.names[position] for position in readable)
    tensors = [tensor_from(picture, spec) for picture in prepared if picture is not None]
    answered = {subject.name: _answered(subject, tensors, classes) for subject in subjects}
    answers = {name: columns for name, (columns, _) in answered.items()}
    first, *others = ((name, logits) for name, (_, logits) in answered.items())
    data = [shard.data[position] or b"" for position in readable]
    return ShardResult(
        number=shard.number,
        names=names,
        classes=classes,
        unreadable=tuple(name for name in shard.names if name not in set(names)),
        answers=answers,
        differences={name: tuple(differences(first[1], logits)) for name, logits in others},
        disagreements=tuple(_disagreements(names, classes, answers, data, reading)),
    )


def summarize(
    subjects: Sequence[str],
    spec: ModelSpec,
    weights: str,
    pictures: LabelledSet,
    parts: Iterable[ShardResult],
    progress: Progress = silent,
) -> Evaluation:
    """The evaluation from all shards, in any order. Raises InvalidPictureSet if no picture could be read."""
    total = len(pictures.entries)
    progress(Event(f"0 of {total} pictures", 0.0))
    answered: list[ShardResult] = []
    kept: list[tuple[int, Disagreement]] = []
    done = disagreeing = 0
    for part in parts:
        done += len(part.names) + len(part.unreadable)
        disagreeing += len(part.disagreements)
        # Thumbnails are large, so only those that will be shown are kept.
        kept += [(part.number, disagreement) for disagreement in part.disagreements]
        kept = sorted(kept, key=lambda pair: zlib.crc32(pair[1].picture.encode()))[:DISAGREEMENTS_KEPT]
        answered.append(replace(part, disagreements=()))
        progress(Event(f"{done} of {total} pictures", done / total))
    answered.sort(key=lambda part: part.number)
    true = [index for part in answered for index in part.classes]
    unreadable = tuple(name for part in answered for name in part.unreadable)
    if not true:
        raise InvalidPictureSet(f"None of the {total} pictures can be read.", READABLE)
    answers = {name: _joined(part.answers[name] for part in answered) for name in subjects}
    indices = ClassNames(spec).indices(pictures.classes)
    first = answers[subjects[0]]
    return Evaluation(
        model=spec.name,
        weights=weights,
        data=pictures.path.name,
        count=len(true),
        labels=catalogue.labels(spec),
        unreadable=unreadable,
        ignored=pictures.ignored,
        left_out=pictures.left_out,
        results=tuple(
            Result(
                name,
                scores.score(answers[name], true, indices),
                scores.paired_difference(answers[name], first, true) if name != subjects[0] else None,
                _proof(name, answered, weights, true) if name != subjects[0] else None,
            )
            for name in subjects
        ),
        disagreeing=disagreeing,
        disagreements=tuple(disagreement for _, disagreement in sorted(kept, key=lambda pair: pair[0])),
    )


def _pieces(pictures: LabelledSet) -> Iterator[list[tuple[Entry, bytes | None]]]:
    remaining = pictures.pictures()
    while part := list(itertools.islice(remaining, SHARD)):
        yield part


def _answered(
    subject: Subject, tensors: Sequence[torch.Tensor], classes: Sequence[int]
) -> tuple[PredictionColumns, torch.Tensor]:
    """What counts of a subject's answers, and its logits, float32 (N, classes)."""
    import torch

    answered = [torch.empty(0, subject.classifier.spec.classes)]
    top1: list[int] = []
    probability: list[float] = []
    in_top5: list[bool] = []
    seconds = 0.0
    for start in range(0, len(tensors), subject.batch):
        batch = torch.cat(list(tensors[start : start + subject.batch]))
        true = torch.tensor(classes[start : start + subject.batch])
        started = time.perf_counter()
        logits = subject.classifier.batch_logits(batch)
        seconds += time.perf_counter() - started
        answered.append(logits)
        best = logits.softmax(1).max(1)
        top1 += best.indices.tolist()
        probability += best.values.tolist()
        among = logits.topk(min(5, logits.shape[1]), 1).indices == true.unsqueeze(1)
        in_top5 += among.any(1).tolist()
    return PredictionColumns(tuple(top1), tuple(probability), tuple(in_top5), seconds), torch.cat(answered)


def _proof(name: str, parts: Sequence[ShardResult], weights: str, true: Sequence[int]) -> Proof:
    """How a file's answers to the set differ from the original's. A set of one class gives no verdict."""
    found = list(itertools.chain.from_iterable(part.differences[name] for part in parts))
    no_verdict = verdicts.ONE_CLASS if len({*true}) == 1 else ""
    engine = FORMATS[name].run_engine() if name in FORMATS else "torch"
    return proof.summary(found, weights, engine, no_verdict=no_verdict)


def _joined(parts: Iterable[PredictionColumns]) -> PredictionColumns:
    columns = list(parts)
    return PredictionColumns(
        tuple(itertools.chain.from_iterable(part.top1 for part in columns)),
        tuple(itertools.chain.from_iterable(part.probability for part in columns)),
        tuple(itertools.chain.from_iterable(part.in_top5 for part in columns)),
        sum(part.seconds for part in columns),
    )


def _disagreements(
    names: Sequence[str],
    classes: Sequence[int],
    answers: Mapping[str, PredictionColumns],
    data: Sequence[bytes],
    reading: Decoders,
) -> Iterator[Disagreement]:
    for position, picture in enumerate(data):
        opinions = tuple(
            Opinion(subject, answer.top1[position], answer.probability[position]) for subject, answer in answers.items()
        )
        if len({opinion.answer for opinion in opinions}) > 1:
            yield Disagreement(names[position], classes[position], opinions, _thumbnail(picture, reading))


def _thumbnail(picture: bytes, reading: Decoders) -> str:
    try:
        return base64.b64encode(reading.small(picture, THUMBNAIL)).decode()
    except InvalidPicture:
        return ""
