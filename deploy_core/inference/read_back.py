"""Checks a file that no runtime on this machine runs: its weights, and an interpreter's answer to one photograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.formats.format import Reading
from deploy_core.inference import verdicts
from deploy_core.inference.classify import Classifier
from deploy_core.inference.differences import difference
from deploy_core.inference.proof import Reference
from deploy_core.types import ReadBack

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Checked:
    """What was read back, and whether the file changes the answer, which means nothing with random weights."""

    read_back: ReadBack
    changes_answer: bool


def check(read: Callable[[Path, torch.nn.Module], Reading], path: Path, reference: Reference) -> Checked:
    """Reads a file back and compares it with the original. Raises InvalidArtifact."""
    original = reference.original
    found = read(path, original.module)
    file = Classifier(original.spec, original.weights, original.labels, found.run)
    compared = difference(reference.logits(0, 1)[0], file.logits(reference.inputs(0, 1)))
    read_back = ReadBack(
        operators=found.operators,
        weights=found.weights,
        picture=reference.views(1)[0].file,
        is_flipped=compared.is_flipped,
        cosine=compared.cosine,
        max_abs_difference=compared.largest,
        not_run=found.not_run,
    )
    is_decided = compared.is_flipped and compared.behind >= verdicts.NEAR_TIE
    return Checked(read_back, is_decided and original.weights != "random")
