"""How often models and artifacts are right about labelled pictures, and where they differ.

The pictures go through in shards of fixed size, which is also what a cluster deals out (``cluster``): the same
shards give the same answers, wherever they are asked.
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

from deploy_core import documents
from deploy_core.errors import InvalidPicture, InvalidPictureSet
from deploy_core.evaluation import labelled, scores
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.evaluation.labelled import Entry, LabelledSet
from deploy_core.evaluation.scores import Change, Replies, Score
from deploy_core.formats import by_filename
from deploy_core.inference import classify
from deploy_core.inference.classify import Classifier, tensor_from
from deploy_core.models import catalogue
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import decode, pool
from deploy_core.pictures.pool import Decoders, Prepared
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress, silent

if TYPE_CHECKING:
    import torch

SHARD = 64
BATCH = 16
THUMBNAIL = 96
DISAGREEMENTS_KEPT = 60


@dataclass(frozen=True)
class Subject:
    """What is asked: a loaded model or artifact, under the name that its figures go by."""

    name: str
    classifier: Classifier
    batch: int


@dataclass(frozen=True)
class Shard:
    """A few pictures of a set: ``classes`` are their true indices, ``data`` their bytes, None for an unreadable one."""

    number: int
    names: tuple[str, ...]
    classes: tuple[int, ...]
    data: tuple[bytes | None, ...] = field(repr=False)


@dataclass(frozen=True)
class Opinion:
    """What one subject says a picture shows."""

    subject: str
    answer: int
    probability: float


@dataclass(frozen=True)
class Disagreement:
    """A picture that the subjects answer differently; ``thumbnail`` is a small JPEG in base64, if it could be made."""

    picture: str
    true: int
    opinions: tuple[Opinion, ...]
    thumbnail: str = field(repr=False)


@dataclass(frozen=True)
class Sheet:
    """The answers to one shard: for the readable pictures, in order, and by subject."""

    number: int
    names: tuple[str, ...]
    classes: tuple[int, ...]
    unreadable: tuple[str, ...]
    replies: dict[str, Replies]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Result:
    """One subject's figures; ``change`` is against the first subject, None for that one itself."""

    subject: str
    score: Score
    change: Change | None


@dataclass(frozen=True)
class Evaluation:
    """What several subjects were worth on one labelled set.

    ``labels`` are the model's classes by index, ``unreadable`` pictures that nobody was asked about, ``ignored`` the
    number of files that are no pictures; ``disagreeing`` counts the pictures that the subjects answer differently, and
    ``disagreements`` are some of them, chosen by their names and so from all over the set.
    """

    model: str
    weights: str
    data: str
    count: int
    labels: tuple[str, ...] = field(repr=False)
    unreadable: tuple[str, ...]
    ignored: int
    results: tuple[Result, ...]
    disagreeing: int
    disagreements: tuple[Disagreement, ...] = field(repr=False)


def open_pictures(path: Path, spec: ModelSpec, settings: Settings) -> LabelledSet:
    """A labelled set whose classes are all known to the model. Raises InvalidPictureSet."""
    names = ClassNames(spec)
    pictures = labelled.open_set(path, settings, names.knows)
    names.indices(pictures.classes)
    return pictures


def open_subject(what: str, model: str, weights: str, settings: Settings, progress: Progress = silent) -> Subject:
    """A model of the catalogue where ``what`` is its name, else the artifact at that path, built from ``model``.

    Raises as ``classify.open_model`` and ``classify.open_artifact`` do.
    """
    if what in catalogue.MODELS:
        return Subject(what, classify.open_model(what, weights, settings, progress), BATCH)
    return open_artifact(Path(what), model, weights)


def open_artifact(path: Path, model: str, weights: str) -> Subject:
    """The artifact at ``path``, under its format's key; ``model`` is what it was built from. Raises InvalidArtifact."""
    return subject_of(path, classify.open_artifact(path, model, weights))


def subject_of(path: Path, classifier: Classifier) -> Subject:
    """The opened artifact at ``path``, under its format's key."""
    row = by_filename(path)
    one_by_one = row.answers_depend_on_batch or not row.takes_batches
    return Subject(row.key, classifier, 1 if one_by_one else BATCH)


def evaluate(
    subjects: Sequence[Subject], pictures: LabelledSet, settings: Settings, progress: Progress = silent
) -> Evaluation:
    """Asks every subject about every picture; all subjects are of one model, the first is the yardstick.

    Raises InvalidPictureSet where no picture can be read, InvalidArtifact for a subject that cannot answer.
    """
    first = subjects[0].classifier
    sheets = (answer(shard, subjects, settings) for shard in shards(pictures, first.spec))
    return summarize([subject.name for subject in subjects], first.spec, first.weights, pictures, sheets, progress)


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


def answer(shard: Shard, subjects: Sequence[Subject], settings: Settings) -> Sheet:
    """What every subject says to the readable pictures of a shard. Raises InvalidArtifact."""
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
    replies = {subject.name: _ask(subject, tensors, classes) for subject in subjects}
    data = [shard.data[position] or b"" for position in readable]
    return Sheet(
        number=shard.number,
        names=names,
        classes=classes,
        unreadable=tuple(name for name in shard.names if name not in set(names)),
        replies=replies,
        disagreements=tuple(_disagreements(names, classes, replies, data, reading)),
    )


def summarize(
    subjects: Sequence[str],
    spec: ModelSpec,
    weights: str,
    pictures: LabelledSet,
    sheets: Iterable[Sheet],
    progress: Progress = silent,
) -> Evaluation:
    """The figures of all sheets, which may come in any order. Raises InvalidPictureSet where nothing was readable."""
    total = len(pictures.entries)
    progress(Event(f"0 of {total} pictures", 0.0))
    answered: list[Sheet] = []
    kept: list[tuple[int, Disagreement]] = []
    done = disagreeing = 0
    for sheet in sheets:
        done += len(sheet.names) + len(sheet.unreadable)
        disagreeing += len(sheet.disagreements)
        # Thumbnails are large: only those that will be shown are held, from all over the set.
        kept += [(sheet.number, disagreement) for disagreement in sheet.disagreements]
        kept = sorted(kept, key=lambda pair: zlib.crc32(pair[1].picture.encode()))[:DISAGREEMENTS_KEPT]
        answered.append(replace(sheet, disagreements=()))
        progress(Event(f"{done} of {total} pictures", done / total))
    answered.sort(key=lambda sheet: sheet.number)
    true = [index for sheet in answered for index in sheet.classes]
    unreadable = tuple(name for sheet in answered for name in sheet.unreadable)
    if not true:
        raise InvalidPictureSet(f"None of the {total} pictures can be read.", decode.READABLE)
    replies = {name: _joined(sheet.replies[name] for sheet in answered) for name in subjects}
    indices = ClassNames(spec).indices(pictures.classes)
    yardstick = replies[subjects[0]]
    return Evaluation(
        model=spec.name,
        weights=weights,
        data=pictures.path.name,
        count=len(true),
        labels=catalogue.labels(spec),
        unreadable=unreadable,
        ignored=pictures.ignored,
        results=tuple(
            Result(
                name,
                scores.score(replies[name], true, indices),
                scores.change(replies[name], yardstick, true) if name != subjects[0] else None,
            )
            for name in subjects
        ),
        disagreeing=disagreeing,
        disagreements=tuple(disagreement for _, disagreement in sorted(kept, key=lambda pair: pair[0])),
    )


def save(evaluation: Evaluation, path: Path) -> None:
    """Writes an evaluation as JSON, whole or not at all. Raises StorageFailed."""
    documents.write(path, evaluation)


def read_evaluation(path: Path) -> Evaluation:
    """Reads what ``save`` wrote. Raises InvalidArtifact for a file that is none."""
    return documents.read(path, Evaluation)


def _pieces(pictures: LabelledSet) -> Iterator[list[tuple[Entry, bytes | None]]]:
    remaining = pictures.pictures()
    while part := list(itertools.islice(remaining, SHARD)):
        yield part


def _ask(subject: Subject, tensors: Sequence[torch.Tensor], classes: Sequence[int]) -> Replies:
    import torch

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
        best = logits.softmax(1).max(1)
        top1 += best.indices.tolist()
        probability += best.values.tolist()
        among = logits.topk(min(5, logits.shape[1]), 1).indices == true.unsqueeze(1)
        in_top5 += among.any(1).tolist()
    return Replies(tuple(top1), tuple(probability), tuple(in_top5), seconds)


def _joined(parts: Iterable[Replies]) -> Replies:
    found = list(parts)
    return Replies(
        tuple(itertools.chain.from_iterable(part.top1 for part in found)),
        tuple(itertools.chain.from_iterable(part.probability for part in found)),
        tuple(itertools.chain.from_iterable(part.in_top5 for part in found)),
        sum(part.seconds for part in found),
    )


def _disagreements(
    names: Sequence[str],
    classes: Sequence[int],
    replies: Mapping[str, Replies],
    data: Sequence[bytes],
    reading: Decoders,
) -> Iterator[Disagreement]:
    for position, picture in enumerate(data):
        opinions = tuple(
            Opinion(subject, given.top1[position], given.probability[position]) for subject, given in replies.items()
        )
        if len({opinion.answer for opinion in opinions}) > 1:
            yield Disagreement(names[position], classes[position], opinions, _thumbnail(picture, reading))


def _thumbnail(picture: bytes, reading: Decoders) -> str:
    try:
        return base64.b64encode(reading.small(picture, THUMBNAIL)).decode()
    except InvalidPicture:
        return ""
