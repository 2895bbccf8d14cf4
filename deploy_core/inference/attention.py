"""Where a model looks: attention rollout (Abnar and Zuidema, 2020, https://arxiv.org/abs/2005.00928).

timm's fused attention does not return its weights, so they are computed again from the output of each block's
``attn.qkv``. The hooks that read it act only in the thread that asks, and are removed afterwards, because all threads
share the model.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidRequest
from deploy_core.models.families import FAMILIES

if TYPE_CHECKING:
    import torch

# The residual path of a block passes each token on unchanged: half of a block's output is its input.
RESIDUAL = 0.5

_hooked = threading.Lock()


def rollout(model: Any, family: str, tensor: torch.Tensor) -> torch.Tensor:
    """How much of the answer comes from each patch of one picture: float32 (rows, columns) with the sum 1.

    ``family`` is the model's key in ``FAMILIES``; ``tensor`` is its input, float32 (1, 3, S, S). Attention is followed
    from the last block to the patches. It starts at the tokens that the head reads: the class token, the class and the
    distillation token of a distilled DeiT, or all patches where the head reads their mean.
    Raises InvalidRequest for a family that does not show its attention.
    """
    import torch

    row = FAMILIES[family]
    if not row.shows_attention:
        raise InvalidRequest(f"{row.title} does not show where it looks.", "Choose a model of another family.")
    blocks: Any = model.blocks
    projections: list[torch.Tensor] = []
    asking = threading.get_ident()

    def record(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
        if threading.get_ident() == asking:
            projections.append(output)

    with _hooked, torch.inference_mode(), ExitStack() as hooks:
        for block in blocks:
            hooks.callback(block.attn.qkv.register_forward_hook(record).remove)
        model(tensor)
    with torch.inference_mode():
        shares = torch.zeros(projections[0].shape[1])
        before = model.num_prefix_tokens
        read_by_head = shares[before:] if model.global_pool == "avg" else shares[: row.prefix_tokens]
        read_by_head.fill_(1 / len(read_by_head))
        for block, projection in zip(reversed(blocks), reversed(projections), strict=True):
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
