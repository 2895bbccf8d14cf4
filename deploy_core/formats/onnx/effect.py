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
