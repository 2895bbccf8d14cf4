"""Lowers a program without passes that change nothing in it. The bytes stay the same (docs/decisions/0022)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy_core.formats.exporting import sharing_history

# Passes of XNNPACK's backend, and parts of the names of operators without which they find nothing. Each pass traces
# each graph once more, and two of them lower graphs of their own to compare with. Attention with a mask, which
# ``ConvertToSDPAPass`` looks for, is in no ViT.
LOOK_FOR: dict[str, tuple[str, ...]] = {
    "ConvertToSDPAPass": (),
    "ConvertToUpsampleBilinear2d": ("index", "upsample"),
    "Conv1dUnsqueezePass": ("convolution",),
    "DecomposeBatchNorm": ("batch_norm",),
    "DecomposeConcatenate": ("cat",),
    "FuseBatchNormPass": ("batch_norm",),
    "PReLUReshapePass": ("prelu",),
    "RemoveGetItemPass": ("max",),
}


@contextmanager
def lean() -> Iterator[None]:
    """Inside the block, XNNPACK's backend leaves out passes that would find nothing."""
    from executorch.backends.xnnpack import xnnpack_preprocess

    every = xnnpack_preprocess.XNNPACKPassManager

    def fitting(exported: Any, passes: Any = None) -> Any:
        names = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
        return every(exported, [one for one in passes or every(exported).passes if _may_find(one.__name__, names)])

    xnnpack_preprocess.XNNPACKPassManager = fitting
    try:
        with sharing_history():
            yield
    finally:
        xnnpack_preprocess.XNNPACKPassManager = every


def _may_find(name: str, operators: set[str]) -> bool:
    return name not in LOOK_FOR or any(part in operator for part in LOOK_FOR[name] for operator in operators)
