"""Checkpoints as timm, transformers and torchvision save them, and as training scripts wrap them: small and random.

Each case is written to a folder and says what the library itself answers. docs/own-models.md lists the cases.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import functools
import json
import pathlib
import pickle
import random
import types
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

LABELS = ("hamster", "parrot", "tortoise")
SIZE, PATCH, WIDTH, DEPTH, HEADS = 32, 8, 32, 2, 2
TINY = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS}
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Answer = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Made:
    """What was written: the path to bring, and what the library answers and would do with a picture."""

    path: Path
    answer: Answer | None = None
    labels: tuple[str, ...] | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """``refused`` is a pattern of the error; without one, the checkpoint is taken."""

    group: str
    title: str
    make: Callable[[Path], Made]
    refused: str = ""


CASES: list[Case] = []


def case(group: str, title: str, refused: str = "") -> Callable[[Callable[[Path], Made]], Callable[[Path], Made]]:
    def add(make: Callable[[Path], Made]) -> Callable[[Path], Made]:
        CASES.append(Case(group, title, make, refused))
        return make

    return add


def shaken(module: Any) -> Any:
    """The module with weights of some size everywhere: norms and tokens begin as zeros and ones."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    return module.eval()


@functools.cache
def of_timm(name: str = "vit_tiny_patch16_224", **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        return shaken(timm.create_model(name, **({**TINY, "num_classes": 3} | options)))


@functools.cache
def of_transformers(kind: str = "ViTForImageClassification", **options: Any) -> Any:
    import transformers

    config_class: Any = transformers.DeiTConfig if kind.startswith("DeiT") else transformers.ViTConfig
    config = config_class(
        **{
            "hidden_size": WIDTH,
            "num_hidden_layers": DEPTH,
            "num_attention_heads": HEADS,
            "intermediate_size": 64,
            "image_size": SIZE,
            "patch_size": PATCH,
            "id2label": dict(enumerate(LABELS)),
            "label2id": {label: number for number, label in enumerate(LABELS)},
        }
        | options
    )
    with torch.random.fork_rng(devices=[]):
        return shaken(getattr(transformers, kind)(config))


@functools.cache
def of_torchvision() -> Any:
    import torchvision

    with torch.random.fork_rng(devices=[]):
        return shaken(torchvision.models.VisionTransformer(SIZE, PATCH, DEPTH, HEADS, WIDTH, 64, num_classes=3))


def logits(module: Any) -> Answer:
    def ask(pictures: torch.Tensor) -> torch.Tensor:
        answer = module(pictures)
        found: torch.Tensor = getattr(answer, "logits", answer)
        return found

    return ask


def state(module: Any) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def renamed(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + key: value for key, value in tensors.items()}


def saved(folder: Path, document: Any, name: str = "checkpoint.pth", **options: Any) -> Path:
    torch.save(document, folder / name, **options)
    return folder / name


# Plain ViTs as timm builds them, without a config.
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ViT": ("vit_tiny_patch16_224", {}),
    "patch 4": ("vit_tiny_patch16_224", {"patch_size": 4}),
    "patch 16": ("vit_tiny_patch16_224", {"patch_size": 16, "img_size": 64}),
    "4 registers": ("vit_small_patch14_reg4_dinov2", {}),
    "no class token": ("vit_base_patch16_gap_224", {}),
    "mean of the patches with fc_norm": ("vit_tiny_patch16_224", {"global_pool": "avg"}),
    "registers, mean of the patches, no class token": ("vit_medium_patch16_reg4_gap_256", {}),
    "DINOv2 with LayerScale": ("vit_small_patch14_dinov2", {}),
    "DeiT": ("deit_tiny_patch16_224", {}),
    "DeiT distilled": ("deit_tiny_distilled_patch16_224", {}),
    "DeiT III": ("deit3_small_patch16_224", {}),
    "without biases of queries, keys and values": ("vit_tiny_patch16_224", {"qkv_bias": False}),
    "wide MLPs": ("vit_tiny_patch16_224", {"mlp_ratio": 3.0}),
    "no positions for the class token": ("vit_tiny_patch16_224", {"no_embed_class": True}),
}


def _variant(name: str, options: Mapping[str, Any]) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        module = of_timm(name, **options)
        save_file(state(module), folder / "model.safetensors")
        return Made(folder / "model.safetensors", logits(module), options={"heads": HEADS})

    return make


for _title, (_name, _options) in VARIANTS.items():
    case("timm, weights alone", _title)(_variant(_name, _options))


# timm's folders: config.json tells heads, pooling, norms and preprocessing.
FOLDERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "AugReg ViT": ("vit_tiny_patch16_224", {}),
    "DeiT": ("deit_tiny_patch16_224", {}),
    "DeiT III": ("deit3_small_patch16_224", {}),
    "DeiT distilled": ("deit_tiny_distilled_patch16_224", {}),
    "mean of the patches before the norm": ("vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": False}),
    "mean of the patches with fc_norm": ("vit_tiny_patch16_224", {"global_pool": "avg"}),
    "CLIP's, with a norm before the blocks": ("vit_base_patch16_clip_224", {}),
    "DINOv2 with registers": ("vit_small_patch14_reg4_dinov2", {}),
    "no class token": ("vit_base_patch16_gap_224", {}),
}


def _timm_folder(name: str, options: Mapping[str, Any], is_zip: bool = False) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        module = of_timm(name, **options)
        place = folder / "pets"
        arguments = {**TINY, **options}
        save_for_hf(
            module,
            str(place),
            model_config={"label_names": list(LABELS)},
            model_args=arguments,
            safe_serialization=True,
        )
        resolve: Any = timm.data
        config = json.loads((place / "config.json").read_text())
        how = resolve.resolve_model_data_config(module, pretrained_cfg=config["pretrained_cfg"])
        expected = {
            "mean": tuple(how["mean"]),
            "std": tuple(how["std"]),
            "interpolation": how["interpolation"],
            "crop_mode": how["crop_mode"],
            "resize": int(SIZE / how["crop_pct"]),
            "crop": SIZE,
        }
        return Made(_zipped(place) if is_zip else place, logits(module), LABELS, expected)

    return make


def _zipped(place: Path) -> Path:
    target = place.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(place.iterdir()):
            archive.write(path, f"{place.name}/{path.name}")
        archive.writestr(f"__MACOSX/{place.name}/._model.safetensors", b"x")
    return target


for _title, (_name, _options) in FOLDERS.items():
    case("timm, folder with config.json", _title)(_timm_folder(_name, _options))
case("timm, folder with config.json", "zip of the folder")(_timm_folder("vit_tiny_patch16_224", {}, is_zip=True))


def _transformers(
    kind: str,
    processor: Mapping[str, Any] | None,
    expected: Mapping[str, Any] | None = None,
    pick: str = "",
    **options: Any,
) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        module = of_transformers(kind, **options)
        place = folder / "pets"
        module.save_pretrained(place)
        if processor is not None:
            (place / "preprocessor_config.json").write_text(json.dumps(processor))
        # Training's own files must not be read.
        torch.save({"lr": 1}, place / "training_args.bin")
        torch.save({"state": {}}, place / "optimizer.pt")
        path = place / pick if pick else place
        return Made(path, logits(module), LABELS, expected or {})

    return make


SQUASH = {
    "do_resize": True,
    "size": {"height": SIZE, "width": SIZE},
    "resample": 2,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "do_normalize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
}
AS_SQUASH = {
    "resize": SIZE,
    "crop": SIZE,
    "crop_mode": "squash",
    "interpolation": "bilinear",
    "mean": HALF[0],
    "std": HALF[1],
}
DEIT = SQUASH | {
    "size": {"height": 37, "width": 37},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "image_mean": list(IMAGENET[0]),
    "image_std": list(IMAGENET[1]),
}
AS_DEIT = {
    "resize": 37,
    "crop": SIZE,
    "crop_mode": "squash",
    "interpolation": "bicubic",
    "mean": IMAGENET[0],
    "std": IMAGENET[1],
}
EDGE = SQUASH | {"size": {"shortest_edge": 36}, "do_center_crop": True, "crop_size": SIZE}
AS_EDGE = AS_SQUASH | {"resize": 36, "crop_mode": "center"}
RAW = SQUASH | {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}
VIT, DEIT_CLASS = "ViTForImageClassification", "DeiTForImageClassification"
T = "transformers, folder"
case(T, "ViT")(_transformers(VIT, SQUASH, AS_SQUASH))
case(T, "ViT by its file")(_transformers(VIT, SQUASH, AS_SQUASH, pick="model.safetensors"))
case(T, "ViT with a shortest edge")(_transformers(VIT, EDGE, AS_EDGE))
case(T, "ViT with pixels of 0 to 255")(_transformers(VIT, RAW, AS_SQUASH))
case(T, "ViT without normalization")(
    _transformers(VIT, SQUASH | {"do_normalize": False}, AS_SQUASH | {"mean": (0.0,) * 3, "std": (1.0,) * 3})
)
case(T, "ViT with an old size")(_transformers(VIT, SQUASH | {"size": SIZE}, AS_SQUASH))
case(T, "ViT without preprocessor_config.json")(_transformers(VIT, None, AS_SQUASH))
case(T, "ViT without biases of queries, keys and values")(_transformers(VIT, SQUASH, AS_SQUASH, qkv_bias=False))
case(T, "ViT with four heads")(_transformers(VIT, SQUASH, AS_SQUASH, num_attention_heads=4))
case(T, "ViT with a large epsilon")(_transformers(VIT, SQUASH, AS_SQUASH, layer_norm_eps=1e-2))
case(T, "DeiT with a head on the class token")(_transformers(DEIT_CLASS, DEIT, AS_DEIT))
case(T, "DeiT with two heads")(_transformers(f"{DEIT_CLASS}WithTeacher", DEIT, AS_DEIT))
for _act in ("quick_gelu", "gelu_new", "relu"):
    case(T, f"ViT with {_act}", f"activation is '{_act}'")(_transformers(VIT, SQUASH, hidden_act=_act))
case(T, "several labels per picture", "multi_label_classification")(
    _transformers(VIT, SQUASH, problem_type="multi_label_classification")
)
case(T, "pictures of another size", "make inputs of 48 pixels, and the model takes 32")(
    _transformers(VIT, SQUASH | {"size": {"height": 48, "width": 48}})
)


@case("transformers, weights alone", "ViT, names in memory")
def _(folder: Path) -> Made:
    module = of_transformers()
    return Made(saved(folder, module.state_dict()), logits(module), None, AS_SQUASH, {"heads": HEADS})


@case("transformers, weights alone", "DeiT with two heads, in a Lightning module")
def _(folder: Path) -> Made:
    module = of_transformers(f"{DEIT_CLASS}WithTeacher")
    document = {"state_dict": renamed(state(module), "model."), "pytorch-lightning_version": "2.5", "epoch": 3}
    return Made(saved(folder, document, "last.ckpt"), logits(module), options={"heads": HEADS})


@case("transformers, weights alone", "pytorch_model.bin with an unused pooler")
def _(folder: Path) -> Made:
    module = of_transformers()
    tensors = state(module) | {"vit.pooler.dense.weight": torch.zeros(WIDTH, WIDTH)}
    return Made(saved(folder, tensors, "pytorch_model.bin"), logits(module), options={"heads": HEADS})


@case("torchvision", "ViT")
def _(folder: Path) -> Made:
    module = of_torchvision()
    expected = {"mean": IMAGENET[0], "std": IMAGENET[1], "interpolation": "bilinear", "resize": 36}
    return Made(saved(folder, module.state_dict()), logits(module), None, expected, {"heads": HEADS})


@case("torchvision", "ViT in a data-parallel wrapper")
def _(folder: Path) -> Made:
    module = of_torchvision()
    return Made(saved(folder, {"net": renamed(state(module), "module.")}), logits(module), options={"heads": HEADS})


@case("the authors", "DeiT's, with arguments")
def _(folder: Path) -> Made:
    module = of_timm()
    document = {"model": state(module), "args": argparse.Namespace(lr=0.1, model="deit_no_such"), "epoch": 1}
    return Made(saved(folder, document), logits(module), options={"heads": HEADS})


@case("the authors", "DeiT III's gamma_1")
def _(folder: Path) -> Made:
    module = of_timm("deit3_small_patch16_224")
    tensors = {
        key.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): v for key, v in state(module).items()
    }
    return Made(saved(folder, {"model": tensors}), logits(module), None, {"mean": IMAGENET[0]}, {"heads": HEADS})


@case("the authors", "DINOv2's register_tokens")
def _(folder: Path) -> Made:
    module = of_timm("vit_small_patch14_reg4_dinov2")
    tensors = {key.replace("reg_token", "register_tokens"): value for key, value in state(module).items()}
    tensors["mask_token"] = torch.zeros(1, WIDTH)
    return Made(saved(folder, tensors), logits(module), options={"heads": HEADS})


@case("the authors", "timm's training script, which names the architecture")
def _(folder: Path) -> Made:
    module = of_timm("vit_tiny_patch16_224", embed_dim=192, depth=12, num_heads=3, patch_size=16)
    document = {"arch": "vit_tiny_patch16_224", "state_dict": state(module), "args": {"mean": None}, "version": 2}
    expected = {"mean": HALF[0], "std": HALF[1], "resize": 35}
    return Made(saved(folder, document, "model_best.pth.tar"), logits(module), None, expected)


PREFIXES: tuple[str, ...] = (
    "module.",
    "model.",
    "_orig_mod.",
    "_orig_mod.module.",
    "model.module.",
    "net.",
    "vit.",
    "backbone.",
)
PREFIXES += ("model._orig_mod.encoder.vit.", "student.backbone.")


def _prefixed(prefix: str) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        return Made(saved(folder, renamed(state(of_timm()), prefix)), logits(of_timm()), options={"heads": HEADS})

    return make


for _prefix in PREFIXES:
    case("prefixes", f"`{_prefix}`")(_prefixed(_prefix))

WRAPPERS = ("state_dict", "model_state_dict", "model_ema", "net", "model.state_dict", "weights", "ema.module", "params")


def _wrapped(wrapper: str) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        document: Any = state(of_timm())
        for key in reversed(wrapper.split(".")):
            document = {key: document, "epoch": 3}
        return Made(saved(folder, document, "checkpoint.pth.tar"), logits(of_timm()), options={"heads": HEADS})

    return make


for _wrapper in WRAPPERS:
    case("wrappers", f"`{_wrapper}`")(_wrapped(_wrapper))


@case("prefixes", "compiled blocks inside the model")
def _(folder: Path) -> Made:
    tensors = {key.replace("blocks.0.", "blocks.0._orig_mod."): value for key, value in state(of_timm()).items()}
    return Made(saved(folder, tensors), logits(of_timm()), options={"heads": HEADS})


@case("prefixes", "a head of its own beside the backbone")
def _(folder: Path) -> Made:
    tensors = state(of_timm())
    head = {key.replace("head", "classifier.1"): tensors.pop(key) for key in ("head.weight", "head.bias")}
    return Made(
        saved(folder, {"state_dict": renamed(tensors, "backbone.") | head}), logits(of_timm()), options={"heads": HEADS}
    )


@case("wrappers", "averaged weights beside the last ones")
def _(folder: Path) -> Made:
    last = {key: value * 2 for key, value in state(of_timm()).items()}
    document = {"state_dict": last, "state_dict_ema": state(of_timm())}
    return Made(saved(folder, document), logits(of_timm()), options={"heads": HEADS})


@case("wrappers", "averaged weights, the last ones chosen")
def _(folder: Path) -> Made:
    averaged = {key: value * 2 for key, value in state(of_timm()).items()}
    document = {"state_dict": state(of_timm()), "state_dict_ema": averaged}
    return Made(saved(folder, document), logits(of_timm()), options={"heads": HEADS, "part": "state_dict"})


@case("wrappers", "averaged weights by a prefix")
def _(folder: Path) -> Made:
    last = {key: value * 2 for key, value in state(of_timm()).items()}
    document = {"state_dict": renamed(last, "model.") | renamed(state(of_timm()), "model_ema.module.")}
    return Made(saved(folder, document), logits(of_timm()), options={"heads": HEADS})


@case("leftovers", "criterion, total_ops, n_averaged, optimizer")
def _(folder: Path) -> Made:
    module = of_timm()
    optimizer = torch.optim.AdamW(module.parameters())
    tensors = renamed(state(module), "module.") | {
        "criterion.weight": torch.ones(3),
        "module.total_ops": torch.zeros(1),
        "module.blocks.0.total_params": torch.zeros(1),
        "n_averaged": torch.tensor(5),
    }
    document = {"state_dict": tensors, "optimizer": optimizer.state_dict(), "scaler": {"scale": torch.ones(1)}}
    return Made(saved(folder, document), logits(module), options={"heads": HEADS})


NOTES: Mapping[str, Callable[[], Any]] = {
    "numpy numbers": lambda: [np.float64(0.9), np.int64(3), np.bool_(True), np.float32(0.1)],
    "numpy arrays": lambda: {"confusion": np.eye(3), "names": np.array(["a", "b"])},
    "random states": lambda: [random.getstate(), np.random.get_state(), torch.get_rng_state()],
    "a numpy generator": lambda: np.random.default_rng(3),
    "paths": lambda: [pathlib.Path("/data"), pathlib.PureWindowsPath("C:/data")],
    "dates": lambda: [datetime.datetime(2026, 1, 2), datetime.timedelta(1)],
    "defaultdict, Counter, deque": lambda: [
        collections.defaultdict(list, a=[1]),
        collections.Counter("aab"),
        collections.deque([1]),
    ],
    "Namespace and SimpleNamespace": lambda: [argparse.Namespace(a=1), types.SimpleNamespace(b=2)],
    "torch versions, sizes and types": lambda: [
        torch.__version__,
        torch.Size([1]),
        torch.float16,
        torch.device("cuda"),
    ],
    "an object of an unknown class": lambda: Unknown(),
}


class Unknown:
    """Stands for a configuration of somebody's training script."""

    def __init__(self) -> None:
        self.rate = 0.1


def _noted(note: Callable[[], Any], protocol: int) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        document = {"model": state(of_timm()), "note": note()}
        return Made(saved(folder, document, pickle_protocol=protocol), logits(of_timm()), options={"heads": HEADS})

    return make


for _number, (_title, _note) in enumerate(NOTES.items()):
    case("notes", f"{_title}, protocol {2 + _number % 4}")(_noted(_note, 2 + _number % 4))


@case("files", "the format before archives, protocol 4")
def _(folder: Path) -> Made:
    path = saved(folder, state(of_timm()), _use_new_zipfile_serialization=False, pickle_protocol=4)
    return Made(path, logits(of_timm()), options={"heads": HEADS})


@case("files", "plain pickle, protocol 5")
def _(folder: Path) -> Made:
    (folder / "weights.pkl").write_bytes(pickle.dumps(state(of_timm()), protocol=5))
    return Made(folder / "weights.pkl", logits(of_timm()), options={"heads": HEADS})


@case("files", "plain pickle of numpy arrays")
def _(folder: Path) -> Made:
    arrays = {key: value.numpy() for key, value in state(of_timm()).items()}
    (folder / "weights").write_bytes(pickle.dumps(arrays, protocol=4))
    return Made(folder / "weights", logits(of_timm()), options={"heads": HEADS})


@case("files", "safetensors named `.PTH`")
def _(folder: Path) -> Made:
    save_file(state(of_timm()), folder / "MODEL.PTH")
    return Made(folder / "MODEL.PTH", logits(of_timm()), options={"heads": HEADS})


def _bytes(name: str, data: bytes) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        (folder / name).write_bytes(data)
        return Made(folder / name)

    return make


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
for _name, _data, _words in (
    ("model.safetensors", LFS, "pointer of Git LFS"),
    ("pytorch_model.bin", LFS, "pointer of Git LFS"),
    ("model.pth", b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    ("model.safetensors", b"<html><head></head></html>", "web page"),
    ("config.json", b'{"model_type": "vit"}', "is JSON, not weights"),
    ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
    ("model.pth", b"", "is empty"),
    ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(99), "is a picture"),
):
    case("no weights", f"`{_name}`: {_words}", _words)(_bytes(_name, _data))

OTHERS = {
    "swin_tiny_patch4_window7_224": "a Swin",
    "mobilevit_xxs": "a MobileViT",
    "eva02_tiny_patch14_224": "an EVA",
    "cait_xxs24_224": "a CaiT",
    "beit_base_patch16_224": "a BEiT",
    "convnext_atto": "a ConvNeXt",
    "resnet18": "a ResNet",
    "efficientnet_lite0": "convolutional",
    "vit_base_patch16_siglip_224": "SigLIP",
    "mixer_s32_224": "a mixer",
}


def _other(name: str) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        # Its names are those of the real model; each tensor has one number, because no more is looked at.
        with torch.device("meta"):
            names = [*timm.create_model(name, num_classes=3).state_dict()]
        return Made(saved(folder, {key: torch.zeros(1) for key in names}))

    return make


for _name, _words in OTHERS.items():
    case("other models", f"`{_name}`", _words)(_other(_name))


def _config(**changes: Any) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        made = _timm_folder("vit_tiny_patch16_224", {})(folder)
        config = json.loads((made.path / "config.json").read_text())
        (made.path / "config.json").write_text(json.dumps(config | changes))
        return Made(made.path)

    return make


case("contradictions", "timm with max pooling", "pooling 'max'")(
    _config(global_pool="max", model_args=TINY | {"global_pool": "max"})
)
case("contradictions", "timm with another architecture", "no plain ViT of timm")(
    _config(architecture="swin_tiny_patch4_window7_224")
)
case("contradictions", "timm with another activation", "activation 'relu'")(
    _config(model_args=TINY | {"act_layer": "relu"})
)
case("contradictions", "timm with another width", "says that its width is 192")(_config(model_args={}))
case("contradictions", "timm with another number of classes", "says that its classes is 1000")(
    _config(num_classes=1000)
)


@case("contradictions", "transformers' Swin by its config", "'swin' of transformers")
def _(folder: Path) -> Made:
    made = _transformers(VIT, SQUASH)(folder)
    config = json.loads((made.path / "config.json").read_text())
    (made.path / "config.json").write_text(json.dumps(config | {"model_type": "swin"}))
    return Made(made.path)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch code_ran",)


@case("code", "a call of os.system", r"runs code when it is loaded \(posix.system\)")
def _(folder: Path) -> Made:
    return Made(saved(folder, {"model": state(of_timm()), "note": Evil()}))


@case("code", "a whole module", r"whole object of the class timm.models.vision_transformer.VisionTransformer")
def _(folder: Path) -> Made:
    return Made(saved(folder, of_timm()))
