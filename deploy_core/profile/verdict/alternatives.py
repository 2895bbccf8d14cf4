"""Models that people choose instead of DeiT on phones: public figures, and our own of their speed and size.

The project measured none of ``FIGURES``: each names who did, and when. ``Comparison`` is what
``python -m benchmarks.alternatives --save`` measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Who published a figure, and when: ``date`` is an ISO date, or a year where no day is known."""

    title: str
    date: str
    address: str


@dataclass(frozen=True)
class Figure:
    """One model on one chip: top-1 accuracy on ImageNet's validation set in percent, and milliseconds of one picture.

    ``precision`` is empty where the source does not state it.
    """

    model: str
    kind: str
    precision: str
    top1: float
    milliseconds: float
    chip: str
    source: Source


@dataclass(frozen=True)
class ComparedModel:
    """A model of timm with random weights: ``ratio`` is of its time to DeiT-Tiny's, with its 95 % interval.

    ``side`` is of its input, in pixels; ``megabytes`` are of its float32 ONNX file.
    """

    timm_name: str
    title: str
    side: int
    megabytes: float
    milliseconds: float
    ratio: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """One interleaved run on ONNX Runtime; ``date`` is ISO's. The first of ``models`` is DeiT-Tiny."""

    date: str
    cpu: str
    threads: int
    models: tuple[ComparedModel, ...]


AI_HUB = Source(
    "Qualcomm AI Hub Models: perf.yaml and numerics.yaml of each model; accuracy on 1,000 pictures",
    "2026-02-24",
    "https://github.com/qualcomm/ai-hub-models/tree/b61a009028de5420032377d9e6bd7280aae24c74",
)
FASTVIT = Source(
    "Vasu et al., FastViT, ICCV 2023: table of the repository", "2023", "https://github.com/apple/ml-fastvit"
)
EFFICIENTFORMER = Source(
    "Li et al., EfficientFormer, NeurIPS 2022: table of the repository",
    "2022-06-02",
    "https://github.com/snap-research/EfficientFormer",
)
MOBILENETV4 = Source("Qin et al., MobileNetV4, ECCV 2024: abstract", "2024-04-16", "https://arxiv.org/abs/2404.10518")

S25 = "Galaxy S25, NPU (ONNX Runtime with QNN)"
S25_LITERT = "Galaxy S25, NPU (LiteRT)"
IPHONE_12 = "iPhone 12 (Core ML)"
IPHONE_12_PRO = "iPhone 12 Pro (Core ML)"

FIGURES = (
    Figure("ViT-B/16, as large as DeiT-Base", "plain ViT", "float", 80.6, 4.98, S25, AI_HUB),
    Figure("ViT-B/16, as large as DeiT-Base", "plain ViT", "w8a16", 80.6, 5.30, S25, AI_HUB),
    Figure("ViT-B/16, as large as DeiT-Base", "plain ViT", "float", 80.6, 3.96, S25_LITERT, AI_HUB),
    Figure("ViT-B/16, as large as DeiT-Base", "plain ViT", "w8a8", 78.5, 3.36, S25_LITERT, AI_HUB),
    Figure("EfficientViT-B2", "hybrid", "float", 80.8, 2.69, S25, AI_HUB),
    Figure("EfficientFormer-L1", "hybrid", "float", 77.2, 0.70, S25, AI_HUB),
    Figure("EfficientNet-B0", "convolutions", "float", 77.1, 0.70, S25, AI_HUB),
    Figure("LeViT-128S", "hybrid", "float", 73.9, 0.70, S25, AI_HUB),
    Figure("MobileNetV3-Large", "convolutions", "float", 72.1, 0.40, S25, AI_HUB),
    Figure("FastViT-T8", "hybrid", "", 76.2, 0.8, IPHONE_12_PRO, FASTVIT),
    Figure("FastViT-SA12", "hybrid", "", 80.9, 1.6, IPHONE_12_PRO, FASTVIT),
    Figure("EfficientFormer-L1", "hybrid", "", 79.2, 1.6, IPHONE_12, EFFICIENTFORMER),
    Figure("EfficientFormer-L3", "hybrid", "", 82.4, 3.0, IPHONE_12, EFFICIENTFORMER),
    Figure("MobileNetV4-Hybrid-Large", "hybrid", "", 87.0, 3.8, "Pixel 8, EdgeTPU", MOBILENETV4),
)

ADVICE = (
    "**For a new classifier, start with MobileNetV4, FastViT or EfficientFormer**: they are as accurate as DeiT at a "
    "fraction of its time on a phone.",
    "**Deploy DeiT if you have one already**, if you need to see where it looks, or if your tools want a plain ViT.",
    "**On an iPhone, ship the Core ML file**: it is the one that the Neural Engine runs.",
)
