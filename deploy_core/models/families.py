"""The families of models, one row each. Everything that is particular to a family is in its row.

A new family is one row in ``FAMILIES`` (tests/core/models/test_toy_family.py adds one).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TIMMS_EPS = 1e-6


@dataclass(frozen=True)
class Variant:
    """What plain Vision Transformers of the same size differ in. The defaults are the first ViT's.

    ``class_token`` and ``registers`` are tokens before the patches; ``prefix_positions`` says whether they have
    position embeddings. ``pooling`` is what the head reads: the class token (``token``) or the patches' mean (``avg``).
    ``fc_norm``: the last norm comes after the pooling. ``layer_scale``: each branch of a block is scaled (CaiT,
    https://arxiv.org/abs/2103.17239). ``pre_norm``: a norm comes before the blocks, and the patches have no bias.
    ``norm_eps`` is the epsilon of every norm.
    """

    class_token: bool = True
    registers: int = 0
    prefix_positions: bool = True
    pooling: str = "token"
    fc_norm: bool = False
    layer_scale: bool = False
    qkv_bias: bool = True
    pre_norm: bool = False
    norm_eps: float = TIMMS_EPS

    @property
    def prefix_tokens(self) -> int:
        """The tokens before the patches."""
        return self.class_token + self.registers

    @property
    def timm_options(self) -> dict[str, Any]:
        """timm's options for everything that is not the default. ``norm_eps`` is none of them (``load.create``)."""
        options: dict[str, Any] = {}
        if self.pooling != "token" or self.fc_norm:
            options |= {"global_pool": self.pooling, "fc_norm": self.fc_norm}
        if not self.class_token:
            options["class_token"] = False
        if self.registers:
            options["reg_tokens"] = self.registers
        if not self.prefix_positions:
            options["no_embed_class"] = True
        if self.layer_scale:
            # Any number: the checkpoint's own values replace it.
            options["init_values"] = 1e-5
        if not self.qkv_bias:
            options["qkv_bias"] = False
        if self.pre_norm:
            options["pre_norm"] = True
        return options


@dataclass(frozen=True)
class ModelFamily:
    """A family of vision transformers that timm can build.

    ``timm_name`` is one member; timm builds every other member from it, with the options of an architecture.
    A checkpoint belongs to the family if it has all of ``tensors`` and is the ``variant``; None stands for any.
    ``is_shown`` says whether tensors can show the family: DeiT's are those of any ViT, so that only a config or a note
    in the checkpoint tells it. ``renamed`` maps parts of the tensor names that the authors use to timm's.
    ``prefix_tokens`` come before the patches, besides registers; a head that reads no mean reads them.
    ``head_width`` is the width of an attention head, which no tensor's shape shows.
    ``mean`` and ``std`` normalize the input unless a checkpoint says otherwise. ``center_share`` is the share of a
    resized picture's side that the center crop keeps at the usual input sizes (128 to 256 pixels).
    ``shows_attention`` says whether attention rollout works for the family.
    """

    title: str
    timm_name: str
    tensors: tuple[str, ...]
    variant: Variant | None = None
    prefix_tokens: int = 1
    is_shown: bool = True
    head_width: int = 64
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    center_share: float = 7 / 8
    shows_attention: bool = True
    renamed: Mapping[str, str] = field(default_factory=dict)

    def takes(self, variant: Variant) -> bool:
        """Whether a model that is this ``variant`` can belong to the family."""
        return self.variant is None or self.of(variant) == variant

    def of(self, variant: Variant) -> Variant:
        """The variant that a member is, of which an older card says nothing or only a part."""
        if self.variant is None:
            return variant
        return replace(self.variant, norm_eps=variant.norm_eps, qkv_bias=variant.qkv_bias)


FAMILIES: Mapping[str, ModelFamily] = {
    "vit": ModelFamily(title="ViT", timm_name="vit_tiny_patch16_224", tensors=()),
    "deit": ModelFamily(
        title="DeiT",
        timm_name="deit_tiny_patch16_224",
        tensors=("cls_token",),
        variant=Variant(),
        is_shown=False,
    ),
    "distilled": ModelFamily(
        title="DeiT distilled",
        timm_name="deit_tiny_distilled_patch16_224",
        tensors=("cls_token", "dist_token"),
        variant=Variant(),
        prefix_tokens=2,
    ),
    "deit3": ModelFamily(
        title="DeiT III",
        timm_name="deit3_small_patch16_224",
        tensors=("cls_token", "blocks.0.ls1.gamma"),
        variant=Variant(prefix_positions=False, layer_scale=True),
        # 248 pixels for an input of 224, as its authors and timm do.
        center_share=0.9,
        renamed={"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"},
    ),
}


def of_tensors(names: Container[str], variant: Variant, told: str = "") -> str:
    """The key of the family that these tensors are of: of several that fit, the one with most tensors of its own.

    ``told`` is the family that a config or a note names. A family that no tensor shows fits only if it is named.
    """
    fitting = [
        key
        for key, row in FAMILIES.items()
        if all(tensor in names for tensor in row.tensors) and row.takes(variant) and (row.is_shown or key == told)
    ]
    return max(fitting or ["vit"], key=lambda key: len(FAMILIES[key].tensors))


def titles(form: str = "{}") -> str:
    """The families as people read them, each in ``form``: ``DeiT, DeiT distilled or DeiT III``."""
    *others, last = (form.format(row.title) for row in FAMILIES.values())
    return f"{', '.join(others)} or {last}"
