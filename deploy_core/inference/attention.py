"""Where a model looks: attention rollout (Abnar and Zuidema, 2020, https://arxiv.org/abs/2005.00928).

timm's fused attention does not return its weights, so they are computed again from the output of each block's
``attn.qkv``. The hooks that read it act only in the thread that asks, and are removed afterwards, because all threads
share the model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidRequest
from deploy_core.models.families import FAMILIES

if TYPE_CHECKING:
    import torch

# The residual path of a block passes each token on unchanged: half of a block's output is its input.
RESIDUAL = 0.5

# Threads that add hooks at the same time could get the same handle.
_hooking = threading.Lock()


def rollout(model: Any, family: str, tensor: torch.Tensor) -> torch.Tensor:
    """How much of the answer to ``tensor``, float32 (1, 3, S, S), comes from each patch. As ``followed``."""
    import torch

    with followed(model, family) as shares:
        with torch.inference_mode():
            model(tensor)
        return shares()


@contextmanager
def followed(model: Any, family: str) -> Iterator[Callable[[], torch.Tensor]]:
    """Follows one inference of the model that this thread makes inside the block.

    Yields the function that then gives how much of the answer comes from each patch: float32 (rows, columns) with the
    sum 1. ``family`` is the model's key in ``FAMILIES``. Attention is followed from the last block to the patches. It
    starts at the tokens that the head reads: the class token, the class and the distillation token of a distilled DeiT,
    or all patches where the head reads their mean.
    Raises InvalidRequest for a family that does not show its attention.
    """

    row = FAMILIES[family]
    if not row.shows_attention:
        raise InvalidRequest(f"{row.title} does not show where it looks.", "Choose a model of another family.")
    projections: list[torch.Tensor] = []
    asking = threading.get_ident()

    def record(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
        if threading.get_ident() == asking:
            projections.append(output)

    with ExitStack() as hooks:
        with _hooking:
            for block in model.blocks:
                hooks.callback(block.attn.qkv.register_forward_hook(record).remove)
        yield lambda: _rolled_out(model, row.prefix_tokens, projections)


def _rolled_out(model: Any, read_tokens: int, projections: Sequence[torch.Tensor]) -> torch.Tensor:
    """``projections`` are the outputs of each block's ``attn.qkv``, float32 (1, tokens, 3 * width)."""
    import torch

    with torch.inference_mode():
        shares = torch.zeros(projections[0].shape[1])
        before = model.num_prefix_tokens
        read_by_head = shares[before:] if model.global_pool == "avg" else shares[:read_tokens]
        read_by_head.fill_(1 / len(read_by_head))
        for block, projection in zip(reversed(model.blocks), reversed(projections), strict=True):
            shares = RESIDUAL * shares + (1 - RESIDUAL) * _attended(block.attn, projection, shares)
        patches = shares[before:]
        side = round(len(patches) ** 0.5)
        return (patches / patches.sum()).reshape(side, side)


def _attended(attention: Any, projection: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """How much each token passes on to the tokens that have ``shares`` of the answer, as the mean of all heads.

    ``projection`` is the output of ``attn.qkv``, float32 (1, tokens, 3 * width); ``shares`` and the result are float32
    (tokens,).
    """
    import torch

    heads = attention.num_heads
    tokens = projection.shape[1]
    query, key, _ = projection.reshape(tokens, 3, heads, -1).permute(1, 2, 0, 3)
    query, key = attention.q_norm(query) * attention.scale, attention.k_norm(key)
    # One head at a time, because the weights of a head are a matrix of tokens by tokens.
    by_head = [shares @ torch.softmax(q @ k.T, -1) for q, k in zip(query, key, strict=True)]
    return torch.stack(by_head).mean(0)
