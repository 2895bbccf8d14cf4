"""What converting to LiteRT did to the size of a file."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult


def float32(result: BuildResult) -> str:
    return (
        "Google's runtime for Android, and for browsers; XNNPACK computes all of it. Float32 stays float32: "
        f"{size_against(result, 'litert', 'original')}."
    )


def int8(result: BuildResult) -> str:
    return (
        "Int8 Linear layers, one scale for each output channel, and activations quantized while it runs: "
        f"{size_against(result, 'litert_int8', 'original')}."
    )
