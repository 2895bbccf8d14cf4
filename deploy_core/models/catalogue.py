"""The catalogue of models, and the names of a model's classes."""

from __future__ import annotations

from collections.abc import Mapping

from deploy_core.models.families import FAMILIES
from deploy_core.models.spec import ModelSpec
from deploy_core.types import Preprocessing

CLASSES = 1000
KNOWS = "ImageNet's 1000 classes"


def _preprocessing(family: str, resize: int, crop: int = 224) -> Preprocessing:
    row = FAMILIES[family]
    return Preprocessing(resize, crop, row.mean, row.std)


def _published(name: str, family: str, title: str, parameters: int, resize: int, crop: int = 224) -> ModelSpec:
    """A model of DeiT's authors, as timm publishes it."""
    return ModelSpec(
        name=name,
        title=title,
        parameters=parameters,
        classes=CLASSES,
        knows=KNOWS,
        preprocessing=_preprocessing(family, resize, crop),
        family=family,
        timm_name=name,
        hub_id=f"timm/{name}.fb_in1k",
    )


# The short side is resized to 256 for DeiT at 224 (the tutorial and the DeiT authors);
# the other models follow timm's own configuration (tests/core/models/test_models.py compares them).
MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="demo",
            title="DeiT Deploy Tiny (included)",
            parameters=5_910_800,
            classes=CLASSES,
            knows=KNOWS,
            preprocessing=_preprocessing("distilled", 256),
            family="distilled",
            timm_name="deit_tiny_distilled_patch16_224",
            # deploy_core/embedded/MODEL_CARD.md has the figures.
            note="A small model trained by this project: right first time for about half of ImageNet's photographs, "
            "among its five guesses for three quarters. For real use load DeiT-Base.",
        ),
        _published("deit_tiny_patch16_224", "deit", "DeiT-Tiny", 5_717_416, 256),
        _published("deit_small_patch16_224", "deit", "DeiT-Small", 22_050_664, 256),
        _published("deit_base_patch16_224", "deit", "DeiT-Base (the tutorial's)", 86_567_656, 256),
        _published("deit_tiny_distilled_patch16_224", "distilled", "DeiT-Tiny distilled", 5_910_800, 256),
        _published("deit_small_distilled_patch16_224", "distilled", "DeiT-Small distilled", 22_436_432, 256),
        _published("deit_base_distilled_patch16_224", "distilled", "DeiT-Base distilled", 87_338_192, 256),
        _published("deit_base_patch16_384", "deit", "DeiT-Base at 384", 86_859_496, 384, crop=384),
        _published("deit3_small_patch16_224", "deit3", "DeiT III Small", 22_059_496, 248),
        _published("deit3_medium_patch16_224", "deit3", "DeiT III Medium", 38_849_512, 248),
        _published("deit3_base_patch16_224", "deit3", "DeiT III Base", 86_585_320, 248),
    )
}
TUTORIAL_MODEL = "deit_base_patch16_224"


def labels(spec: ModelSpec) -> tuple[str, ...]:
    """The class names by index."""
    if spec.file:
        return spec.own_labels
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(index) for index in range(spec.classes))


def label_ids(spec: ModelSpec) -> tuple[str, ...]:
    """The WordNet ids of the classes by index, as ImageNet names its folders; empty for a person's own model."""
    if spec.file:
        return ()
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_label_name(index) for index in range(spec.classes))


def labels_identity(spec: ModelSpec) -> str:
    """A text that is equal for equal labels; ImageNet's are not loaded for it."""
    return ",".join(labels(spec)) if spec.file else "ImageNet-1k, as timm names it"
