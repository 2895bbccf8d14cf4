"""What the families that go through torch.export share: ExecuTorch, ONNX, LiteRT and Core ML."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deploy_core.formats.format import Workbench

if TYPE_CHECKING:
    import torch

# On every import of torchao, torch logs that one of torchao's enums is registered in a deprecated way.
LOG_OF_TORCHAO = "torch.utils._pytree"


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the deprecation warnings that the pinned torch, executorch, torchao and onnxscript cause in each other.

    This project cannot change that code, and does not install the versions that would break.
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


@contextmanager
def sharing_history() -> Iterator[None]:
    """Inside the block, what torch notes of a node's origin is shared between programs, not copied for each.

    A node notes the node that it was made from, which notes its own, and so on; each pass over a program adds to that.
    """
    from torch.fx.traceback import NodeSource

    source: Any = NodeSource
    source.__deepcopy__ = lambda itself, _: itself
    try:
        yield
    finally:
        del source.__deepcopy__


def program(bench: Workbench) -> Any:
    """The model with plain attention for one picture, as ``torch.export`` gives it: made once for a build.

    Converters may read it only. Those of ExecuTorch, LiteRT and Core ML make their own from it.
    """
    import torch

    if bench.program is None:
        example = (one_picture(bench.model.spec.input_size),)
        with quiet():
            bench.program = torch.export.export(with_plain_attention(bench.model.module), example)
    return bench.program


def with_plain_attention(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of the module that shares its weights and writes attention out as two products and a softmax.

    Exporters take fused attention apart and add a guard for rows that are masked out entirely. DeiT has none, and the
    guard costs six operators a block over the whole attention map, none of which XNNPACK computes.
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
