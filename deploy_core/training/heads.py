"""Heads for new classes, on what a trained network sees: logistic regression, so there is no rate to choose.

Training that begins with such a head changes less of what the network knows already (Kumar et al., "Fine-Tuning can
Distort Pretrained Features and Underperform Out-of-Distribution", arXiv 2202.10054).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deploy_core.training import views
from deploy_core.training.photographs import Photographs

# A head learns from two random crops of each photograph, or from one of each of many photographs.
VIEWS, MOST_VIEWS = 2, 40_000
LEAST_AREA = 0.35
BATCH = 64
# The ridge of weights for features whose deviation is 1.
RIDGE = 0.01
LEAST_DEVIATION = 1e-6


@torch.no_grad()
def features_of(
    see: Callable[[torch.Tensor], torch.Tensor], photographs: Photographs, size: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``see`` makes of random crops of labelled photographs, float32, and the label of each crop, int64 (V,).

    ``see`` maps pictures, float32 (N, 3, size, size) in 0..1, to features, (N, ...).
    """
    assert photographs.labels is not None, "a head is for labelled photographs"  # noqa: S101
    times = min(VIEWS, max(1, MOST_VIEWS // len(photographs)))
    which = torch.arange(len(photographs)).repeat(times)
    maps = views.boxes(len(which), LEAST_AREA, torch.Generator().manual_seed(seed))
    pairs = zip(which.split(BATCH), maps.split(BATCH), strict=True)
    seen = [see(views.cut(photographs.pixels[some], part, size)).float() for some, part in pairs]
    return torch.cat(seen), photographs.labels[which]


def fit(features: torch.Tensor, labels: torch.Tensor, classes: int) -> tuple[nn.Linear, float]:
    """A head that maps features, float32 (V, F), to logits, and the share of the labels that it finds, 0..1."""
    deviation, mean = features.std(0).clamp(min=LEAST_DEVIATION), features.mean(0)
    features = (features - mean) / deviation
    head = nn.Linear(features.shape[1], classes, device=features.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = cross_entropy(head(features), labels) + RIDGE / 2 * head.weight.square().sum()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        right = float((head(features).argmax(1) == labels).float().mean())
        head.weight.div_(deviation)
        head.bias.sub_(head.weight @ mean)
    return head, right
