"""What timm knows about its own architectures, where the shapes of tensors show nothing: heads, pooling, norms."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy_core.errors import InvalidCheckpoint
from deploy_core.models import refusals

# The modules of timm that build plain Vision Transformers.
MODULES = ("vision_transformer", "deit")
NAME = re.compile(r"[a-z0-9_]{1,80}")
POOLINGS = ("token", "avg")
# Arguments of timm's models that change what is computed, and that no tensor shows.
CODE_ARGUMENTS = ("block_fn", "attn_layer", "mlp_layer", "embed_layer", "embed_norm_layer", "pool_include_prefix")


@dataclass(frozen=True)
class Facts:
    """``numbers`` are fields of an ``Architecture`` that the tensors must confirm."""

    family: str | None
    heads: int
    pooling: str
    norm_eps: float
    numbers: Mapping[str, int]


def is_known(name: str) -> bool:
    """Whether the architecture is in one of ``MODULES``; a tag of its weights may follow its name."""
    from timm.models import is_model, is_model_in_modules

    plain = name.split(".")[0]
    return bool(NAME.fullmatch(plain) and is_model(plain) and is_model_in_modules(plain, MODULES))


def of(name: str, arguments: Mapping[str, Any], pooling: Any) -> Facts:
    """The facts about the architecture ``name`` with timm's ``arguments``; ``pooling`` is what the config says of it.

    Raises InvalidCheckpoint for an architecture or an argument that gives no plain ViT.
    """
    plain = name.split(".")[0]
    if not is_known(name):
        raise InvalidCheckpoint(
            f"config.json says that the model is '{plain}', which is no plain ViT of timm.", refusals.TAKEN
        )
    base = _base(plain)
    _refuse(base.odd, plain)
    for key in CODE_ARGUMENTS:
        _refuse(f"{key} {arguments[key]}" if arguments.get(key) else "", plain)
    activation, norm = arguments.get("act_layer"), arguments.get("norm_layer")
    _refuse(f"the activation '{activation}'" if activation not in (None, "gelu") else "", plain)
    _refuse(f"the norm '{norm}'" if norm not in (None, "layernorm") else "", plain)
    pooled = arguments.get("global_pool") or pooling or base.pooling
    _refuse(f"the pooling '{pooled}'" if pooled not in POOLINGS else "", plain)
    numbers = {
        field: arguments[key] if _is_whole(arguments.get(key)) else base.numbers[field]
        for key, field in (("embed_dim", "width"), ("depth", "depth"), ("patch_size", "patch"))
    }
    told_pooling = arguments.get("global_pool") or (None if pooling else base.pooling)
    if told_pooling:
        # A mean of the patches comes before the last norm, unless the arguments or the architecture say otherwise.
        usual_norm = base.numbers["fc_norm"] if told_pooling == base.pooling else told_pooling == "avg"
        numbers["fc_norm"] = arguments["fc_norm"] if isinstance(arguments.get("fc_norm"), bool) else usual_norm
    for key, field in (("reg_tokens", "registers"), ("class_token", "class_token")):
        given = arguments.get(key)
        numbers[field] = given if isinstance(given, int) else base.numbers[field]
    heads: Any = arguments.get("num_heads")
    if heads is not None and not _is_whole(heads):
        raise InvalidCheckpoint(f"config.json says that num_heads is {heads!r}.", "Correct it: it is a whole number.")
    return Facts(
        family=_family(plain),
        heads=int(heads) if _is_whole(heads) else base.heads,
        pooling=pooled,
        norm_eps=1e-6 if norm == "layernorm" else base.norm_eps,
        numbers=numbers,
    )


def usual(name: str) -> dict[str, Any]:
    """timm's own preprocessing for an architecture, as it would be in its ``config.json``."""
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=False) or timm.get_pretrained_cfg(name.split(".")[0])
    if config is None:
        return {}
    keys = ("input_size", "mean", "std", "crop_pct", "interpolation", "crop_mode")
    return {key: getattr(config, key) for key in keys if getattr(config, key) is not None}


def _family(name: str) -> str | None:
    if name.startswith("deit3_"):
        return "deit3"
    if name.startswith("deit_"):
        return "distilled" if "distilled" in name else "deit"
    return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000


def _refuse(what: str, name: str) -> None:
    if what:
        raise InvalidCheckpoint(
            f"config.json says that the model is '{name}' with {what}, which is not built here.",
            "Give a plain ViT with GELU whose head reads the class token or the mean of the patches.",
        )


@dataclass(frozen=True)
class _Base:
    odd: str
    heads: int
    pooling: str
    norm_eps: float
    numbers: Mapping[str, int]


@functools.cache
def _base(name: str) -> _Base:
    """Read from the model that timm builds, without weights."""
    import timm
    import torch
    from timm.models import deit, vision_transformer

    plain: Any = vision_transformer

    with torch.device("meta"):
        module: Any = timm.create_model(name, pretrained=False)
    block = module.blocks[0]
    odd = ""
    if type(module) not in (plain.VisionTransformer, deit.VisionTransformerDistilled) or type(block) is not plain.Block:
        odd = f"blocks of the kind {type(block).__name__}"
    elif type(block.attn) is not plain.Attention or type(block.mlp) is not plain.Mlp:
        odd = f"{type(block.attn).__name__} and {type(block.mlp).__name__}"
    elif type(block.mlp.act) is not torch.nn.GELU or block.mlp.act.approximate != "none":
        odd = f"the activation {type(block.mlp.act).__name__}"
    elif not isinstance(block.norm1, torch.nn.LayerNorm):
        odd = f"the norm {type(block.norm1).__name__}"
    elif module.pool_include_prefix:
        odd = "a pooling over all tokens"
    return _Base(
        odd,
        0 if odd else block.attn.num_heads,
        str(module.global_pool),
        1e-6 if odd else float(block.norm1.eps),
        {
            "width": module.embed_dim,
            "depth": len(module.blocks),
            "patch": module.patch_embed.patch_size[0],
            "registers": module.num_reg_tokens,
            "class_token": module.has_class_token,
            "fc_norm": isinstance(module.fc_norm, torch.nn.LayerNorm),
        },
    )
