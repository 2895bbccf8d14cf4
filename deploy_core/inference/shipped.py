"""The embedded model's answers about the photographs that ship with it, so that a first visit needs no inference."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from deploy_core import documents, embedded
from deploy_core.embedded import Sample
from deploy_core.models import load
from deploy_core.models.spec import ModelSpec
from deploy_core.types import Answer, ModelChoice, Preprocessing

MOST_CLASSES = 20


@dataclass(frozen=True)
class ShippedAnswer:
    """The most probable classes of one photograph, and where the model looks, as rows of patches."""

    sha256: str
    top: tuple[Answer, ...]
    attention: list[list[float]]


@dataclass(frozen=True)
class ShippedAnswers:
    """The answers, and what they hold for: these weights (``load.weights_identity``) and this preprocessing."""

    weights: str
    preprocessing: Preprocessing
    answers: tuple[ShippedAnswer, ...]


def find(choice: ModelChoice, digest: str) -> ShippedAnswer | None:
    """The answer to the photograph with this SHA-256.

    None for another model or photograph, and after a change of the weights or the preprocessing.
    """
    spec = load.find(choice.reference)
    if not spec.is_embedded or choice.weights != "pretrained":
        return None
    kept = _kept()
    if (kept.weights, kept.preprocessing) != (load.weights_identity(spec, choice.weights), spec.preprocessing):
        return None
    return next((answer for answer in kept.answers if answer.sha256 == digest), None)


def of(spec: ModelSpec, answers: tuple[ShippedAnswer, ...]) -> ShippedAnswers:
    return ShippedAnswers(load.weights_identity(spec, "pretrained"), spec.preprocessing, answers)


def digest(sample: Sample) -> str:
    return hashlib.sha256(sample.path.read_bytes()).hexdigest()


@functools.cache
def _kept() -> ShippedAnswers:
    return documents.read(embedded.SAVED_ANSWERS, ShippedAnswers)
