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
        prefix = int(model.num_prefix_tokens)  # type: ignore[arg-type]
        shares = torch.zeros(projections[0].shape[1])
        shares[:prefix] = 1 / prefix
        for block, projection in zip(reversed(blocks), reversed(projections), strict=True):
            shares = RESIDUAL * shares + (1 - RESIDUAL) * _attended(block.attn, projection, shares)
        seen = shares[prefix:]
        side = round(len(seen) ** 0.5)
        return (seen / seen.sum()).reshape(side, side)


def _attended(attention: Any, projection: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """What each token hands to those that have ``shares`` of the answer, in the mean of all heads."""
    import torch

    heads = attention.num_heads
    tokens = projection.shape[1]
    query, key, _ = projection.reshape(tokens, 3, heads, -1).permute(1, 2, 0, 3)
    query, key = attention.q_norm(query) * attention.scale, attention.k_norm(key)
    # One head after the other: each is a matrix of tokens by tokens.
    given = [shares @ torch.softmax(asks @ has.T, -1) for asks, has in zip(query, key, strict=True)]
    return torch.stack(given).mean(0)
