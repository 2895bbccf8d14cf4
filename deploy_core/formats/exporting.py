"""What the two exporting families, ExecuTorch and ONNX, have in common."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# What torch logs on every import of torchao: that one of its enums is registered in the old way.
LOG_OF_TORCHAO = "torch.utils._pytree"


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves out what the pinned torch, executorch, torchao and onnxscript deprecate of one another.

    Nobody here can change it, and the versions that could break are not installed.
    """
    log = logging.getLogger(LOG_OF_TORCHAO)
    was_disabled = log.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        log.disabled = True
        try:
            yield
        finally:
            log.disabled = was_disabled


def with_plain_attention(module: torch.nn.Module) -> torch.nn.Module:
    """The module over the same weights, its attention written out as two products and a softmax.

    Exporters take the fused attention apart again, with a guard for rows that are masked out entirely, which
    DeiT does not have: six operators a block over the whole attention map, and XNNPACK computes none of them.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    twin = copy.deepcopy(module, shared)
    part: Any
    for part in twin.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    return twin


def one_picture(size: int) -> torch.Tensor:
    """An example input, float32 (1, 3, size, size)."""
    import torch

    return torch.zeros(1, 3, size, size)
