"""What exporting to ONNX did to the size of a file."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult


def float32(result: BuildResult) -> str:
    return (
        "The graph in a format that many runtimes read, browsers among them: "
        f"{size_against(result, 'onnx', 'original')}."
    )


def int8(result: BuildResult) -> str:
    return (
        "Int8 weights of the matrix products; the patch convolution stays float32: "
        f"{size_against(result, 'onnx_int8', 'original')}."
    )


def half(result: BuildResult) -> str:
    return f"Float16 weights and arithmetic: {size_against(result, 'onnx_float16', 'onnx')}."


def for_npus(result: BuildResult) -> str:
    return f"Int8 weights and 16-bit activations: {size_against(result, 'onnx_w8a16', 'original')}."
