"""What each of the tutorial's steps did to size and speed in a build."""

from __future__ import annotations

from deploy_core.formats.ratios import size_against, time_against
from deploy_core.types import BuildResult


def scripted(result: BuildResult) -> str:
    return (
        f"The same float32 weights with the program beside them: {size_against(result, 'scripted', 'original')}, "
        f"{time_against(result, 'scripted', 'original')}. What it gains is that it runs without Python."
    )


def quantized(result: BuildResult) -> str:
    return (
        "Every Linear weight takes one byte instead of four, and DeiT is nearly all Linear layers: "
        f"{size_against(result, 'quantized', 'original')}. Integer instructions do more work each: "
        f"{time_against(result, 'quantized', 'original')}."
    )


def optimized(result: BuildResult) -> str:
    if result.optimize == "tutorial":
        return (
            "The tutorial's way packs the patch convolution for XNNPACK. Its output is channels-last, and every later "
            f"operator pays for it: {time_against(result, 'optimized', 'quantized')}."
        )
    return (
        f"Folding and fusing leave little to gain on DeiT: {time_against(result, 'optimized', 'quantized')}. The pass "
        "that packs the patch convolution is left out, because its channels-last output slows every later operator "
        "down."
    )


def lite(result: BuildResult) -> str:
    if result.engine == "x86":
        return (
            "Built under x86, the lite file holds every int8 weight twice: "
            f"{size_against(result, 'lite', 'optimized')} (pytorch issue 112716). Build under qnnpack for phones."
        )
    return (
        "The optimized program as bytecode, for an interpreter that adds a few megabytes to an app: "
        f"{size_against(result, 'lite', 'optimized')}, {time_against(result, 'lite', 'optimized')}."
    )
