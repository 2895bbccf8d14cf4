"""How a file's answers to pictures differ from the original's, picture by picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TOP = 5


@dataclass(frozen=True)
class Difference:
    """Two answers to one picture. Margins and distances are differences of logits.

    - ``original``, ``file``: the indices of the first answers
    - ``behind``: how far the original puts the file's first answer behind its own; 0 if they are the same
    - ``margin``, ``margin_after``: the distance between the original's first two answers, in its own answer and in the
      file's; the second is negative where they change places
    - ``shared``: the share of the first five answers that are the same
    - ``cosine``: the cosine similarity; ``largest``: the largest difference of any logit
    """

    original: int
    file: int
    behind: float
    margin: float
    margin_after: float
    shared: float
    cosine: float
    largest: float

    @property
    def is_flipped(self) -> bool:
        return self.original != self.file

    @property
    def move(self) -> float:
        return abs(self.margin_after - self.margin)


def differences(originals: torch.Tensor, files: torch.Tensor) -> list[Difference]:
    """Compares logits, float32 (N, classes), with at least two classes. The logits must be finite."""
    import torch

    originals, files = originals.double(), files.double()
    first = originals.argmax(1)
    second = originals.scatter(1, first.unsqueeze(1), -torch.inf).argmax(1)
    answered = files.argmax(1)
    rows = torch.arange(len(originals))
    columns: Sequence[torch.Tensor] = (
        originals[rows, first] - originals[rows, answered],
        originals[rows, first] - originals[rows, second],
        files[rows, first] - files[rows, second],
        _shared(originals, files),
        torch.nn.functional.cosine_similarity(originals, files),
        (originals - files).abs().amax(1),
    )
    numbers = torch.stack([column.double() for column in columns], 1).tolist()
    return [
        Difference(one, other, *values)
        for one, other, values in zip(first.tolist(), answered.tolist(), numbers, strict=True)
    ]


def difference(original: torch.Tensor, file: torch.Tensor) -> Difference:
    """Compares the logits of one picture, float32 (classes,)."""
    return differences(original.unsqueeze(0), file.unsqueeze(0))[0]


def _shared(originals: torch.Tensor, files: torch.Tensor) -> torch.Tensor:
    count = min(TOP, originals.shape[1])
    ours, theirs = originals.topk(count, 1).indices, files.topk(count, 1).indices
    return (ours.unsqueeze(2) == theirs.unsqueeze(1)).any(2).double().mean(1)
