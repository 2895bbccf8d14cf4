"""A fine-tuned checkpoint, and the model file that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deploy_core.settings import Settings
from tests.own_model import LABELS, model_file, state


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save({"model": state(), "label_names": list(LABELS), "epoch": 3}, tmp_path / "My Pets.pth")
    return tmp_path / "My Pets.pth"


@pytest.fixture
def model(checkpoint: Path, tmp_path: Path) -> Path:
    return model_file(checkpoint, checkpoint.name, tmp_path / "models", Settings())
