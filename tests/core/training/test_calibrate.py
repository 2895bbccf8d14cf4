"""The embedded model's probabilities are made to mean what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from deploy_core.models import load
from deploy_core.models.own import card
from deploy_core.training import calibrate
from tests.own_model import LABELS, SHAPE


@pytest.mark.parametrize("known", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(known: float) -> None:
    generator = torch.Generator().manual_seed(3)
    calibrated = 2 * torch.randn(20_000, 10, generator=generator)
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=generator).squeeze(1)
    assert calibrate.temperature(known * calibrated, labels) == pytest.approx(known, rel=0.03)


@pytest.fixture
def distilled() -> torch.nn.Module:
    """A tiny model with two heads."""
    return load.create(card.without_file(replace(SHAPE, family="distilled"), "tiny", LABELS))


@pytest.mark.parametrize("divisor", [2.0, 0.68])
def test_dividing_divides_the_logits_and_nothing_else(divisor: float, distilled: torch.nn.Module) -> None:
    pictures = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    logits, features = distilled(pictures), distilled.forward_features(pictures)  # type: ignore[operator]
    calibrate.divide(distilled, divisor)
    torch.testing.assert_close(distilled(pictures) * divisor, logits)
    # A half of a float is exact.
    assert divisor != 2 or torch.equal(distilled(pictures) * 2, logits)
    assert torch.equal(distilled.forward_features(pictures), features)  # type: ignore[operator]
