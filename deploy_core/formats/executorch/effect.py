"""What exporting to ExecuTorch did to the size of a file."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult


def float32(result: BuildResult) -> str:
    return (
        "PyTorch's current runtime for phones; XNNPACK computes what is delegated to it. Float32 stays float32: "
        f"{size_against(result, 'executorch', 'original')}."
    )


def int8(result: BuildResult) -> str:
    return (
        "Int8 weights, one scale for each output channel, and activations quantized while it runs: "
        f"{size_against(result, 'executorch_int8', 'original')}."
    )


def coreml(result: BuildResult) -> str:
    return (
        "Core ML computes the whole program, on the CPU, the GPU or the Neural Engine of an Apple device. Weights and "
        f"activations become float16: {size_against(result, 'executorch_coreml', 'original')}."
    )
