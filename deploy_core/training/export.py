"""Writes weights in half precision."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from deploy_core.files import atomic_write


def export(model: nn.Module, path: Path) -> None:
    """Writes the weights in half precision, which halves the file; the model card says what it costs."""
    from safetensors.torch import save_file

    weights = {
        name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    with atomic_write(path) as temporary:
        save_file(weights, temporary)
