"""The student: a distilled DeiT, new or with the weights of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from deploy_core.errors import InvalidCheckpoint
from deploy_core.models import checkpoints
from deploy_core.models.families import IMAGENET_MEAN, IMAGENET_STD
from deploy_core.models.own import card, shapes
from deploy_core.models.spec import Architecture
from deploy_core.training.photographs import Photographs

HEADS = ("head.", "head_dist.")
MEASURED_AT_ONCE = 250


def new_student(shape: Architecture, seed: int) -> Any:
    """A distilled DeiT with random weights, both heads in training, for inputs of any number of whole patches."""
    spec = card.without_file(shape, "student", ())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student: Any = timm.create_model(spec.timm_name, **spec.timm_options, dynamic_img_size=True)
    student.set_distilled_training(True)
    return student


def shape_of(weights: Path) -> Architecture:
    """The architecture of a student that begins with ``weights``.

    Raises InvalidCheckpoint for weights of anything but a distilled DeiT.
    """
    shape = shapes.architecture_of(checkpoints.read(weights).state, weights.name)
    if shape.family != "distilled":
        raise InvalidCheckpoint(
            f"{weights.name} has no distillation token, so it cannot learn from a teacher.",
            "Start with the weights of a distilled DeiT.",
        )
    return shape


def begin_with(student: nn.Module, weights: Path) -> bool:
    """Fills the student with ``weights``. Its heads stay new if theirs have other classes; returns whether they do."""
    state = checkpoints.read(weights).state
    own = student.state_dict()
    has_new_heads = len(state["head.weight"]) != len(own["head.weight"])
    if has_new_heads:
        state |= {name: tensor for name, tensor in own.items() if name.startswith(HEADS)}
    checkpoints.fill(student, state, "the student", weights.name)
    student.requires_grad_(True)
    return has_new_heads


def tokens(student: Any, pictures: torch.Tensor) -> torch.Tensor:
    """What the heads read of pictures, float (N, 3, S, S) in 0..1: the class and the distillation token, (N, 2, F)."""
    seen: torch.Tensor = student.forward_features(normalized(pictures))
    return seen[:, :2]


def normalized(pictures: torch.Tensor) -> torch.Tensor:
    """Float (N, 3, S, S) in 0..1 as the student's input, with ImageNet's mean and deviation."""
    mean, std = (torch.tensor(values, device=pictures.device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures - mean) / std


@torch.inference_mode()
def accuracy(student: nn.Module, photographs: Photographs) -> tuple[float, float]:
    """The top-1 and top-5 accuracy, 0..1, on labelled photographs of the student's size."""
    assert photographs.labels is not None, "accuracy needs labels"  # noqa: S101
    student.eval()
    parts = (part.float() / 255 for part in photographs.pixels.split(MEASURED_AT_ONCE))
    logits = torch.cat([student(normalized(part)) for part in parts])
    best = logits.topk(min(5, logits.shape[1])).indices == photographs.labels.unsqueeze(1)
    return float(best[:, 0].float().mean()), float(best.any(1).float().mean())
