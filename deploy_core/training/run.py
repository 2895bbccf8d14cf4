"""A run from photographs to weights and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deploy_core.evaluation import labelled
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.files import atomic_write, make_folder
from deploy_core.models import catalogue
from deploy_core.models.own import card, preprocessing
from deploy_core.models.own.card import Card
from deploy_core.models.own.labels import clean_labels
from deploy_core.models.spec import Architecture, ModelSpec
from deploy_core.settings import Settings
from deploy_core.training import heads, photographs, student
from deploy_core.training.distil import Distillation
from deploy_core.training.export import export
from deploy_core.training.photographs import Photographs
from deploy_core.training.recipe import Recipe
from deploy_core.training.teacher import Teacher

IMAGENET = catalogue.MODELS["deit_tiny_distilled_patch16_224"]
WEIGHTS, LABELS = "weights.safetensors", "labels.txt"


@dataclass(frozen=True)
class Job:
    """What a person asks for. ``own_classes``: the classes are the folders of ``photos``, not ImageNet's."""

    photos: Path
    out: Path
    recipe: Recipe
    own_classes: bool = False
    start: Path | None = None
    test: Path | None = None


def train(job: Job, teacher: Teacher, device: str, limits: Settings, tell: Callable[[str], None]) -> None:
    """Distils a student of ``teacher`` as ``job`` says, and writes its files.

    Raises InvalidPictureSet, InvalidCheckpoint, InvalidRequest or StorageFailed.
    """
    own, names = photographs.open_classes(job.photos, limits) if job.own_classes else (None, ())
    labels = clean_labels(names) if own else catalogue.labels(IMAGENET)
    recipe = replace(job.recipe, student=replace(job.recipe.student, classes=len(labels)))
    pupil = student.new_student(recipe.student, recipe.seed)
    has_new_heads = job.start is not None and student.begin_with(pupil, job.start)
    model = _model(recipe.student, labels, job)
    test = _test(job.test, model, device, limits) if job.test else None
    side = model.preprocessing.resize
    tell(f"Reads the photographs of {job.photos}")
    if own:
        seen = photographs.of_classes(own, {name: index for index, name in enumerate(names)}, side, device)
    else:
        seen = photographs.without_labels(job.photos, side, device, limits)
    tell(f"{len(seen)} photographs on {device}, {len(labels)} classes; {seen.unreadable} cannot be read")
    teacher.to(device)
    pupil.to(device)
    if own:
        _give_heads(teacher, pupil, seen, recipe, has_new_heads, tell)
    if device == "cuda":
        teacher.to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]

    run = Distillation(pupil, teacher, seen, recipe, make_folder(job.out))
    if run.resume():
        tell(f"Goes on from the checkpoint, {run.share:.0%} of the run are over")
    with atomic_write(job.out / LABELS) as file:
        file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")

    def keep() -> None:
        weights = job.out / WEIGHTS
        export(run.average, weights)
        tell(f"{weights} is written{_measured(run, test)}")

    run.train(tell, keep)


def _test(path: Path, model: ModelSpec, device: str, limits: Settings) -> Photographs:
    names = ClassNames(model)
    pictures = labelled.open_set(path, limits, names.knows)
    return photographs.for_measuring(pictures, names.indices(pictures.classes), model.preprocessing, device)


def _give_heads(
    teacher: Teacher, pupil: Any, seen: Photographs, recipe: Recipe, has_new_heads: bool, tell: Callable[[str], None]
) -> None:
    """Gives the teacher a head for the labels, and a student whose trained weights ended in other ones two."""
    count = recipe.student.classes
    head, right = heads.fit(*heads.features_of(teacher.features, seen, recipe.teacher_size, recipe.seed), count)
    teacher.give_head(head)
    tell(f"The teacher's new head is right about {right:.1%} of its crops")
    if has_new_heads:
        size = recipe.phase(0).size
        read, labels = heads.features_of(lambda shown: student.tokens(pupil, shown), seen, size, recipe.seed)
        (pupil.head, right), (pupil.head_dist, _) = (heads.fit(one, labels, count) for one in read.unbind(1))
        tell(f"The student's new heads are right about {right:.1%}")


def _measured(run: Distillation, test: Photographs | None) -> str:
    if test is None:
        return ""
    top1, top5 = student.accuracy(run.average, test)
    return f", top-1 {top1:.1%}, top-5 {top5:.1%} of {len(test)} test pictures"


def _model(shape: Architecture, labels: tuple[str, ...], job: Job) -> ModelSpec:
    """The model that the run makes, as an import of its weights would describe it."""
    how = preprocessing.default_for(shape)
    if not job.own_classes:
        return replace(IMAGENET, preprocessing=how)
    return card.spec_of(Card("student", "Student", 0, shape, how, labels), job.out / WEIGHTS)
