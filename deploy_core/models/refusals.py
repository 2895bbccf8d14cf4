"""What a file is that holds no plain ViT, in the words of its refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from deploy_core.errors import InvalidCheckpoint

TAKEN = (
    "Give the weights of a plain Vision Transformer with its head: a ViT or DeiT as timm, transformers or torchvision "
    "save it."
)
READ_BYTES = 512

# What a file is by its first bytes, and what to do.
CONTENTS: tuple[tuple[str, str, str], ...] = (
    (
        r"version https://git-lfs",
        "is a pointer of Git LFS, not the weights themselves",
        "Fetch them first: git lfs pull.",
    ),
    (r"(?i)\s*(?:<!doctype html|<html|<head)", "is a web page", "Download the file itself, not the page about it."),
    (r"\s*<\?xml|\s*<[A-Za-z]+>", "is XML, as a server sends it with an error", "Download the file again."),
    (r"\s*[\[{]\s*[\"\[{\]}]", "is JSON, not weights", "Give the weights beside it, or their folder."),
    (r"\x89HDF\r\n", "is an HDF5 file, as Keras saves models", "Save the weights from PyTorch."),
    (r"\x93NUMPY", "is a numpy array", "Save the state_dict() of the model with torch.save or safetensors."),
    (r"GGUF", "is a GGUF file of a language model", TAKEN),
    (r"(?s).{4}TFL3", "is a TensorFlow Lite model", "Give the PyTorch weights that it was made of."),
    (r"(?s).{4}ET[0-9]{2}", "is an ExecuTorch program", "Give the weights that it was made of."),
    (
        r"(?s)\x08[\x01-\x20].{0,40}(?:pytorch|onnx|tf2onnx)",
        "is an ONNX model",
        "Give the weights that it was made of.",
    ),
    (r"\x89PNG|\xff\xd8\xff|GIF8|RIFF", "is a picture", TAKEN),
    (r"%PDF", "is a PDF document", TAKEN),
    (
        r"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd",
        "is a packed archive",
        "Unpack it, or make a zip of it.",
    ),
)

# What a model is by the names of its tensors. The first row that fits names it.
MODELS: tuple[tuple[str, str], ...] = (
    (r"lora_[AB]\.|lora_(?:down|up)", "an adapter (LoRA) without its model: merge it into the model first"),
    (r"\.(?:SCB|weight_format|quant_map|absmax|qweight|qzeros)$", "quantized: give the weights before that"),
    (r"model\.diffusion_model\.|(?:^|\.)(?:down|up)_blocks\.\d+\.(?:resnets|attentions)", "a diffusion model"),
    (r"(?:mask_decoder|prompt_encoder)\.", "SAM, a segmentation model"),
    (r"(?:segformer|decode_head|mask2former|auxiliary_head|pixel_decoder|sem_seg_head)\.?", "a segmentation model"),
    (r"bbox_(?:embed|predictor|head)|class_labels_classifier|rpn_head|roi_heads", "a detector"),
    (r"embed_tokens\.|lm_head\.|\.wte\.|word_embeddings\.|transformer\.h\.0\.|SelfAttention\.", "a language model"),
    (r"wav2vec2|feature_extractor\.conv_layers|audio_spectrogram|whisper", "an audio model"),
    (r"vision_model\.|text_model\.|visual\.(?:conv1|trunk|transformer)|logit_scale", "CLIP or SigLIP, without classes"),
    (r"attn_pool\.", "a SigLIP, whose head reads attention"),
    (r"decoder_blocks\.|decoder_embed|decoder\.decoder_layers", "a masked autoencoder before its fine-tuning"),
    (r"swin\.|layers\.\d+\.blocks\.\d+\.attn\.relative_position|features\.\d+\.\d+\.attn\.relative_position", "a Swin"),
    (r"layers\.\d+\.blocks\.\d+\.attn\.(?:cpb_mlp|logit_scale)", "a Swin"),
    (r"beit\.|relative_position_bias_table|rel_pos_bias", "a BEiT"),
    (r"blocks_token_only\.|cls_attn_blocks\.", "a CaiT or XCiT"),
    (r"mobilevit|stages\.\d+\.\d+\.(?:transformer|conv_kxk)", "a MobileViT"),
    (r"convnext|dwconv|conv_dw\.weight.*|grn\.", "a ConvNeXt or another convolutional network"),
    (r"layer_scale1\.lambda1|mlp\.weights_in|dinov2", "a DINOv2 of transformers, whose head also reads the mean"),
    (r"\.rope|rope_embed|storage_tokens|q_rope|blocks\.\d+\.attn\.[qkv]_(?:proj|bias)|\.inner_attn_ln", "an EVA"),
    (r"mlp\.(?:fc1_[gx]|w12|w[123])\.", "a ViT with gated MLPs (SwiGLU)"),
    (r"attn\.[qk]_norm\.", "a ViT that normalizes queries and keys"),
    (r"relative_position|rel_pos", "a ViT with relative positions"),
    (r"to_patch_embedding|to_qkv", "a ViT of vit-pytorch, which names its tensors by number"),
    (r"token_mixer|mlp_tokens|attention_downsample|blocks\.\d+\.\d+\.(?:c|m)\.", "a mixer or a hybrid"),
    (r"layer[1-4]\.\d+\.(?:conv|bn)\d", "a ResNet"),
    (r"conv_stem|conv_pwl|conv_pw\.|features\.\d+\.(?:conv|block|weight|\d)|features\.denseblock|dense_?block|"
     r"conv1\.weight|stem\.", "a convolutional network"),
    (r"\.attention_biases|network\.\d+\.|stages\.\d+\.|pooling\.|patch_embed(?:1|s\.0)", "a hierarchical model"),
)  # fmt: skip


def model(name: str, tensors: Iterable[str]) -> InvalidCheckpoint:
    """The refusal of a checkpoint in which there is no plain ViT: it says which model its tensors are of."""
    kind = kind_of(tensors)
    if kind:
        return InvalidCheckpoint(f"{name} is {kind}.", TAKEN)
    return InvalidCheckpoint(
        f"{name} is no plain Vision Transformer that is known here: it has no patch embedding by any known name.", TAKEN
    )


def kind_of(tensors: Iterable[str]) -> str:
    """What the names of tensors show; empty if they show nothing."""
    names = [*tensors]
    return next((kind for pattern, kind in MODELS if any(re.search(pattern, name) for name in names)), "")


def contents(path: Path, name: str) -> InvalidCheckpoint | None:
    """The refusal of a file that begins like something else than weights; None if it does not."""
    try:
        with path.open("rb") as file:
            start = file.read(READ_BYTES).decode("latin1")
    except OSError:
        return None
    if not start:
        return InvalidCheckpoint(f"{name} is empty.", "Download or save it again.")
    return next(
        (
            InvalidCheckpoint(f"{name} {what}.", remedy)
            for pattern, what, remedy in CONTENTS
            if re.match(pattern, start)
        ),
        None,
    )
