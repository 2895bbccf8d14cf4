"""What each of the tutorial's steps did to the size of a file, and what it is for."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult


def scripted(result: BuildResult) -> str:
    return (
        "The same float32 weights with the program beside them: "
        f"{size_against(result, 'scripted', 'original')}. What it gains is that it runs without Python."
    )


def quantized(result: BuildResult) -> str:
    size = size_against(result, "quantized", "original")
    if result.optimize == "tutorial":
        return (
            f"Every Linear weight takes one byte instead of four: {size}. The tutorial's way gives a whole matrix one "
            "scale, and asks x86 for 128 levels of activations instead of 256. It flips more answers than the default."
        )
    return (
        f"Every Linear weight takes one byte instead of four, and DeiT is nearly all Linear layers: {size}. Each "
        "output channel has its own scale, and large activations are balanced with the weights, so that fewer answers "
        "change."
    )


def optimized(result: BuildResult) -> str:
    size = size_against(result, "optimized", "quantized")
    if result.optimize == "tutorial":
        return (
            f"Folded, fused, and with the patch convolution packed for XNNPACK, as in the tutorial: {size}. Its output "
            "is channels-last, which slows every later operator down."
        )
    return (
        f"Folded and fused: {size}. The pass that packs the patch convolution is left out, because its channels-last "
        "output slows every later operator down."
    )


def lite(result: BuildResult) -> str:
    if result.engine == "x86":
        return (
            "Built under x86, the lite file holds every int8 weight twice: "
            f"{size_against(result, 'lite', 'optimized')} (pytorch issue 112716). Build under qnnpack for phones."
        )
    return (
        "The optimized program as bytecode, for an interpreter that adds a few megabytes to an app: "
        f"{size_against(result, 'lite', 'optimized')}."
    )
