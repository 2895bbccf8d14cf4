"""What exporting to Core ML did to the size of a file."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult


def float16(result: BuildResult) -> str:
    return (
        "Apple's own format, for the CPU, the GPU and the Neural Engine of its devices. Weights and activations become "
        f"float16: {size_against(result, 'coreml', 'original')}."
    )


def int8(result: BuildResult) -> str:
    return (
        "Int8 weights of the Linear layers, one scale for each output channel; it computes in float16: "
        f"{size_against(result, 'coreml_int8', 'original')}."
    )
