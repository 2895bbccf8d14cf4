"""Where a DeiT looks: attention rollout (Abnar and Zuidema, 2020, https://arxiv.org/abs/2005.00928).

timm's fused attention never shows its weights, so they are computed again from what each block's ``attn.qkv`` gives.
The hooks listen to the thread that asks alone, and are gone afterwards: the model is the one that everybody shares.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# A block's residual path hands each token on as it is: half of what comes out is what went in.
RESIDUAL = 0.5

_looking = threading.Lock()


def rollout(model: torch.nn.Module, tensor: torch.Tensor) -> torch.Tensor:
    """How much of the answer comes from each patch of one picture: float32 (rows, columns), the sum of all is 1.

    ``tensor`` is the model's input, float32 (1, 3, S, S). The class token's attention is followed from the last block
    to the patches; in a distilled DeiT, whose two tokens share the answer, that of both.
    """
    import torch

    blocks: Any = model.blocks
    projections: list[torch.Tensor] = []
    asking = threading.get_ident()

    def note(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
        if threading.get_ident() == asking:
            projections.append(output)

    with _looking, torch.inference_mode(), ExitStack() as hooks:
        for block in blocks:
            hooks.callback(block.attn.qkv.register_forward_hook(note).remove)
        model(tensor)
    with torch.inference_mode():
        flow = torch.eye(projections[0].shape[1])
        for block, projection in zip(blocks, projections, strict=True):
            weights = _attention(block.attn, projection)
            flow = (RESIDUAL * torch.eye(len(weights)) + (1 - RESIDUAL) * weights) @ flow
        prefix = int(model.num_prefix_tokens)  # type: ignore[arg-type]
        seen = flow[:prefix, prefix:].mean(0)
        side = round(len(seen) ** 0.5)
        return (seen / seen.sum()).reshape(side, side)


def _attention(attention: Any, projection: torch.Tensor) -> torch.Tensor:
    """The mean of all heads: (tokens, tokens), each row sums to 1."""
    import torch

    heads = attention.num_heads
    tokens = projection.shape[1]
    query, key, _ = projection.reshape(tokens, 3, heads, -1).permute(1, 2, 0, 3)
    scores = attention.q_norm(query) * attention.scale @ attention.k_norm(key).transpose(-2, -1)
    return torch.softmax(scores, -1).mean(0)
