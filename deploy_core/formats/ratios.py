"""What each step did to size and speed, in words, from the numbers of the build at hand.

The times are those of the check, one picture at a time: enough to tell a direction, not to compare machines.
"""

from __future__ import annotations

from deploy_core.types import Artifact, BuildResult

# Two times of a check, or two sizes, that are this near are called about the same.
ALIKE_TIMES, ALIKE_SIZES = 0.25, 0.05


def original(result: BuildResult) -> str:
    megabytes = sum(artifact.bytes for artifact in result.artifacts if artifact.format == "original") / 1e6
    return f"The yardstick: {megabytes:.1f} MB of float32 weights, run by eager PyTorch."


def scripted(result: BuildResult) -> str:
    return (
        f"The same float32 weights with the program beside them: {_size(result, 'scripted', 'original')}, "
        f"{_speed(result, 'scripted', 'original')}. What it gains is that it runs without Python."
    )


def quantized(result: BuildResult) -> str:
    return (
        "Every Linear weight takes one byte instead of four, and DeiT is nearly all Linear layers: "
        f"{_size(result, 'quantized', 'original')}. Integer instructions do more work each: "
        f"{_speed(result, 'quantized', 'original')}."
    )


def optimized(result: BuildResult) -> str:
    if result.optimize == "tutorial":
        return (
            "The tutorial's way packs the patch convolution for XNNPACK. Its output is channels-last, and every later "
            f"operator pays for it: {_speed(result, 'optimized', 'quantized')}."
        )
    return (
        f"Folding and fusing leave little to gain on DeiT: {_speed(result, 'optimized', 'quantized')}. The pass that "
        "packs the patch convolution is left out, because its channels-last output slows every later operator down."
    )


def lite(result: BuildResult) -> str:
    if result.engine == "x86":
        return (
            "Built under x86, the lite file holds every int8 weight twice: "
            f"{_size(result, 'lite', 'optimized')} (pytorch issue 112716). Build under qnnpack for phones."
        )
    return (
        "The optimized program as bytecode, for an interpreter that adds a few megabytes to an app: "
        f"{_size(result, 'lite', 'optimized')}, {_speed(result, 'lite', 'optimized')}."
    )


def executorch(result: BuildResult) -> str:
    return (
        "PyTorch's current runtime for phones; XNNPACK computes what is delegated to it. Float32 stays float32: "
        f"{_size(result, 'executorch', 'original')}, {_speed(result, 'executorch', 'original')}."
    )


def executorch_int8(result: BuildResult) -> str:
    return (
        "Int8 weights, one scale for each output channel, and activations quantized while it runs: "
        f"{_size(result, 'executorch_int8', 'original')}, {_speed(result, 'executorch_int8', 'original')}."
    )


def onnx(result: BuildResult) -> str:
    return (
        "The graph in a format that many runtimes read, browsers among them: "
        f"{_size(result, 'onnx', 'original')}, {_speed(result, 'onnx', 'original')}."
    )


def onnx_int8(result: BuildResult) -> str:
    return (
        "Int8 weights of the matrix products; the patch convolution stays float32: "
        f"{_size(result, 'onnx_int8', 'original')}, {_speed(result, 'onnx_int8', 'original')}."
    )


def _artifact(result: BuildResult, key: str) -> Artifact | None:
    return next((artifact for artifact in result.artifacts if artifact.format == key), None)


def _size(result: BuildResult, key: str, other: str) -> str:
    one, two = _artifact(result, key), _artifact(result, other)
    if one is None or two is None:
        return "its size has nothing here to be compared with"
    return _ratio(one.bytes / two.bytes, ALIKE_SIZES, "the bytes", other)


def _speed(result: BuildResult, key: str, other: str) -> str:
    one, two = _artifact(result, key), _artifact(result, other)
    if one is None or two is None:
        return "its speed has nothing here to be compared with"
    return _ratio(one.relative_time / two.relative_time, ALIKE_TIMES, "the time", other)


def _ratio(ratio: float, alike: float, of_what: str, other: str) -> str:
    owner = f"of the {other} file" if other != "original" else "of the original"
    if abs(ratio - 1) < alike:
        return f"about {of_what} {owner}"
    if ratio > 2:
        return f"{ratio:.1f} times {of_what} {owner}"
    return f"{ratio * 100:.0f} % of {of_what} {owner}"
