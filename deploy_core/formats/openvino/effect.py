"""What OpenVINO's formats did to the size of a file."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult


def float32(result: BuildResult) -> str:
    return f"The graph as OpenVINO reads it, float32: {size_against(result, 'openvino', 'original')}."


def int8(result: BuildResult) -> str:
    return (
        "Int8 weights and activations, with scales learned from pictures: "
        f"{size_against(result, 'openvino_int8', 'original')}."
    )
