"""How libraries name the tensors of a ViT, one row each, and how their names become timm's.

A row is recognised by its tensors, never by a file's name. Prefixes (``module.``, ``model.vit.``) are found by the
place of ``anchor`` in a name, so they need no list. tests/own_models compares each row with its library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_core.models.families import FAMILIES, IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import torch

HALF = (0.5, 0.5, 0.5)
# A linear head that somebody put on a model, alone or at the end of a ``Sequential``.
ANY_HEAD = (r"(?:heads?|classifier|fc|linear|cls_head|heads?\.head)(?:\.\d+)?\.(weight|bias)", r"head.\1")
# Three tensors become one, in this order.
JOINED = re.compile(r"(blocks\.\d+\.attn\.qkv)\.([012])\.(weight|bias)")


@dataclass(frozen=True)
class Usual:
    """How a library prepares pictures unless its files say otherwise. ``resize_share`` is the resize by the input."""

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bicubic"
    crop_mode: str = "center"
    resize_share: float | None = None


@dataclass(frozen=True)
class Naming:
    """A library's names. ``anchor`` is the name of the patches' weights, ``needs`` are names that must be there, too.

    ``rules`` are patterns of whole names without the prefix, and what each becomes in timm. ``unused`` are tensors
    that do not take part in a classification. ``norm_eps`` is the library's own, where its files do not tell it.
    ``reads_class_token``: the library's head reads the class token, always.
    """

    title: str
    anchor: str
    needs: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]
    unused: str = r"(?!)"
    norm_eps: float = 1e-6
    usual: Usual | None = None
    reads_class_token: bool = False

    def renamed(self, name: str) -> str | None:
        """timm's name; None for a name that the library does not give."""
        for pattern, replacement in self.rules:
            found = re.fullmatch(pattern, name)
            if found:
                return found.expand(replacement)
        return None


_LAYER = r"encoder\.layer\.(\d+)\."
_TRANSFORMERS = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.(weight|bias)", r"patch_embed.proj.\1"),
    (r"layernorm\.(weight|bias)", r"norm.\1"),
    # On disk, and in memory before version 5.
    (_LAYER + r"attention\.attention\.query\.(weight|bias)", r"blocks.\1.attn.qkv.0.\2"),
    (_LAYER + r"attention\.attention\.key\.(weight|bias)", r"blocks.\1.attn.qkv.1.\2"),
    (_LAYER + r"attention\.attention\.value\.(weight|bias)", r"blocks.\1.attn.qkv.2.\2"),
    (_LAYER + r"attention\.output\.dense\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
    (_LAYER + r"intermediate\.dense\.(weight|bias)", r"blocks.\1.mlp.fc1.\2"),
    (_LAYER + r"output\.dense\.(weight|bias)", r"blocks.\1.mlp.fc2.\2"),
    (_LAYER + r"layernorm_before\.(weight|bias)", r"blocks.\1.norm1.\2"),
    (_LAYER + r"layernorm_after\.(weight|bias)", r"blocks.\1.norm2.\2"),
    # In memory since version 5.
    (r"layers\.(\d+)\.attention\.q_proj\.(weight|bias)", r"blocks.\1.attn.qkv.0.\2"),
    (r"layers\.(\d+)\.attention\.k_proj\.(weight|bias)", r"blocks.\1.attn.qkv.1.\2"),
    (r"layers\.(\d+)\.attention\.v_proj\.(weight|bias)", r"blocks.\1.attn.qkv.2.\2"),
    (r"layers\.(\d+)\.attention\.o_proj\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
    (r"layers\.(\d+)\.mlp\.(fc[12])\.(weight|bias)", r"blocks.\1.mlp.\2.\3"),
    (r"layers\.(\d+)\.layernorm_before\.(weight|bias)", r"blocks.\1.norm1.\2"),
    (r"layers\.(\d+)\.layernorm_after\.(weight|bias)", r"blocks.\1.norm2.\2"),
)
_TORCHVISION = r"encoder\.layers\.encoder_layer_(\d+)\."

NAMINGS: tuple[Naming, ...] = (
    Naming(
        title="transformers DeiT with teacher",
        anchor="embeddings.patch_embeddings.projection.weight",
        needs=("embeddings.distillation_token", "distillation_classifier.weight"),
        rules=(
            *_TRANSFORMERS,
            (r"embeddings\.distillation_token", "dist_token"),
            (r"cls_classifier\.(weight|bias)", r"head.\1"),
            (r"distillation_classifier\.(weight|bias)", r"head_dist.\1"),
        ),
        unused=r"pooler\..*",
        norm_eps=1e-12,
        usual=Usual(crop_mode="squash", resize_share=8 / 7),
        reads_class_token=True,
    ),
    Naming(
        title="transformers DeiT",
        anchor="embeddings.patch_embeddings.projection.weight",
        needs=("embeddings.distillation_token",),
        # Its head reads the class token alone: to timm, the distillation token is a register.
        rules=(*_TRANSFORMERS, (r"embeddings\.distillation_token", "reg_token"), ANY_HEAD),
        unused=r"pooler\..*",
        norm_eps=1e-12,
        usual=Usual(crop_mode="squash", resize_share=8 / 7),
        reads_class_token=True,
    ),
    Naming(
        title="transformers ViT",
        anchor="embeddings.patch_embeddings.projection.weight",
        needs=("embeddings.cls_token", "embeddings.position_embeddings", "layernorm.weight"),
        rules=(*_TRANSFORMERS, ANY_HEAD),
        unused=r"pooler\..*",
        norm_eps=1e-12,
        usual=Usual(HALF, HALF, "bilinear", "squash", 1.0),
        reads_class_token=True,
    ),
    Naming(
        title="torchvision ViT",
        anchor="conv_proj.weight",
        needs=("class_token", "encoder.pos_embedding"),
        rules=(
            (r"class_token", "cls_token"),
            (r"encoder\.pos_embedding", "pos_embed"),
            (r"conv_proj\.(weight|bias)", r"patch_embed.proj.\1"),
            (_TORCHVISION + r"ln_([12])\.(weight|bias)", r"blocks.\1.norm\2.\3"),
            (_TORCHVISION + r"self_attention\.in_proj_(weight|bias)", r"blocks.\1.attn.qkv.\2"),
            (_TORCHVISION + r"self_attention\.out_proj\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
            (_TORCHVISION + r"mlp\.(?:0|linear_1)\.(weight|bias)", r"blocks.\1.mlp.fc1.\2"),
            (_TORCHVISION + r"mlp\.(?:3|linear_2)\.(weight|bias)", r"blocks.\1.mlp.fc2.\2"),
            (r"encoder\.ln\.(weight|bias)", r"norm.\1"),
            ANY_HEAD,
        ),
        usual=Usual(interpolation="bilinear", resize_share=8 / 7),
        reads_class_token=True,
    ),
    Naming(
        title="timm, and the authors of DeiT, MAE and DINOv2",
        anchor="patch_embed.proj.weight",
        needs=(),
        rules=(
            (r"register_tokens", "reg_token"),
            (r"((?:cls|dist|reg)_token|pos_embed)", r"\1"),
            (r"(patch_embed\.proj\.(?:weight|bias))", r"\1"),
            (r"((?:blocks\.\d+\.)(?:norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(?:weight|bias))", r"\1"),
            (r"(blocks\.\d+\.ls[12]\.gamma)", r"\1"),
            (r"((?:norm_pre|norm|fc_norm|head|head_dist)\.(?:weight|bias))", r"\1"),
            ANY_HEAD,
        ),
    ),
)


def timm_name(naming: Naming, name: str) -> str | None:
    """timm's name of the tensor ``name``, by the library's row and by the families' own names for parts."""
    for family in FAMILIES.values():
        for authors, timms in family.renamed.items():
            name = name.replace(authors, timms)
    return naming.renamed(name)


def is_unused(naming: Naming, name: str) -> bool:
    """Whether the library's classifier does not read the tensor."""
    return re.fullmatch(naming.unused, name) is not None


def join(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with query, key and value as one, where all three are there and fit each other."""
    import torch

    groups: dict[str, dict[int, str]] = {}
    for name in state:
        found = JOINED.fullmatch(name)
        if found:
            groups.setdefault(f"{found[1]}.{found[3]}", {})[int(found[2])] = name
    joined = dict(state)
    for name, parts in groups.items():
        tensors = [state[parts[number]] for number in sorted(parts)]
        if len(tensors) == 3 and len({(tensor.shape, tensor.dtype) for tensor in tensors}) == 1 and tensors[0].ndim:
            joined[name] = torch.cat(tensors)
            for part in parts.values():
                del joined[part]
    return joined


def anchored(names: Iterable[str]) -> list[tuple[str, Naming]]:
    """The prefixes under which there is a model, and the first row that fits each."""
    names = [*names]
    found: dict[str, Naming] = {}
    for naming in NAMINGS:
        ends = [name for name in names if name == naming.anchor or name.endswith(f".{naming.anchor}")]
        for prefix in (name[: -len(naming.anchor)] for name in ends):
            if prefix not in found and _has_all(naming.needs, prefix, names):
                found[prefix] = naming
    return [*found.items()]


def _has_all(needs: tuple[str, ...], prefix: str, names: list[str]) -> bool:
    """Whether all are there, under the prefix or, as heads often are, beside it."""
    places = {prefix, *ancestors(prefix)}
    present = set(names)
    return all(any(f"{place}{name}" in present for place in places) for name in needs)


def ancestors(prefix: str) -> list[str]:
    """The shorter prefixes that enclose ``prefix``, the longest first: ``a.b.`` has ``a.`` and nothing."""
    parts = prefix.split(".")[:-1]
    return ["".join(f"{part}." for part in parts[:count]) for count in range(len(parts) - 1, -1, -1)]
