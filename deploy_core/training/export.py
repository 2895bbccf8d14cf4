"""From the trained student to the weights that ship: calibration, and half precision."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deploy_core.files import atomic_write


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature that calibrates logits: dividing them by it gives the smallest cross entropy.

    Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599.
    """
    log = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = cross_entropy(logits.cpu() / log.exp(), labels.cpu())
        value.backward()
        return value

    optimizer.step(closure)
    return float(log.detach().exp())


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file of ``export``, in float32."""
    from safetensors.torch import load_file

    return {name: tensor.float() for name, tensor in load_file(path).items()}


def export(model: nn.Module, path: Path) -> None:
    """Writes the weights in half precision, which halves the file; the model card says what it costs."""
    from safetensors.torch import save_file

    weights = {
        name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    with atomic_write(path) as temporary:
        save_file(weights, temporary)
