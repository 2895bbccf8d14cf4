"""The formats for ExecuTorch: two for XNNPACK, one for Core ML."""

from __future__ import annotations

from functools import partial

from deploy_core.formats.coreml.inspection import IOS, MACOS
from deploy_core.formats.coreml.rows import COREMLTOOLS
from deploy_core.formats.executorch import conversion, coreml, effect, inspection, running
from deploy_core.formats.format import Format, FormatFamily, missing, not_here, other_version
from deploy_core.types import Platform, Runtime

ABOUT = """**ExecuTorch**, PyTorch's current runtime for phones. The program is exported ahead of time, and what the \
XNNPACK library computes faster is handed over (*delegated*) to it."""

PACKAGES = {"torch": "2.12.1", "timm": "1.0.31", "executorch": "1.3.1", "torchao": "0.17.0"}
ANDROID_RUNTIME = Runtime(
    name="ExecuTorch",
    platforms=(Platform.ANDROID,),
    version="1.3.1",
    install="org.pytorch:executorch-android:1.3.1",
)
APPLE_RUNTIME = Runtime(
    name="ExecuTorch",
    platforms=(Platform.IOS, Platform.MACOS),
    version="1.3.1",
    install="https://github.com/pytorch/executorch, branch swiftpm-1.3.1: executorch, backend_xnnpack, "
    "kernels_optimized",
)
COREML_PACKAGES = {**PACKAGES, "coremltools": COREMLTOOLS}
COREML_RUNTIME = Runtime(
    name="ExecuTorch",
    platforms=(Platform.IOS, Platform.MACOS),
    version="1.3.1",
    install="https://github.com/pytorch/executorch, branch swiftpm-1.3.1: executorch, backend_coreml; the file asks "
    f"for iOS {IOS} or macOS {MACOS}, the library for iOS 17",
)


def coreml_probe() -> str | None:
    return missing(COREML_PACKAGES) or other_version("coremltools", COREMLTOOLS)


ExecuTorch = partial(
    Format,
    family=FormatFamily("ExecuTorch", ABOUT),
    is_program=False,
    probe=partial(missing, PACKAGES),
    needs=None,
    options=(),
    packages=PACKAGES,
    save=conversion.save,
    library_bytes=220_000_000,
    load=running.load,
    load_as_on_phone=None,
    takes_batches=False,
    run_engine=lambda: "XNNPACK",
    runtime_package="executorch",
    runs_in_torch=False,
    observe=None,
    delegate="XNNPACK",
    runtimes=(ANDROID_RUNTIME, APPLE_RUNTIME),
    inspect=inspection.inspect,
    app_code="executorch",
    runs_in_client=False,
)

ROWS = (
    ExecuTorch(
        key="executorch",
        title="ExecuTorch",
        summary="A program for ExecuTorch, PyTorch's current runtime on phones; XNNPACK computes most of it.",
        suffix="_executorch.pte",
        colour="#d72867",
        weight_bytes=4,
        convert=conversion.convert,
        effort=6,
        copies=4.0,
        least_cosine=0.9999,
        effect=effect.float32,
    ),
    ExecuTorch(
        key="executorch_int8",
        title="ExecuTorch, int8",
        summary="The ExecuTorch program with int8 Linear layers, a scale for each output channel.",
        suffix="_executorch_int8.pte",
        colour="#dd6d9f",
        weight_bytes=1,
        convert=conversion.convert_int8,
        effort=10,
        copies=2.2,
        least_cosine=0.99,
        effect=effect.int8,
    ),
    ExecuTorch(
        key=coreml.KEY,
        title="ExecuTorch, Core ML",
        summary="The ExecuTorch program handed over to Core ML as a whole, in float16, for Apple's devices alone.",
        suffix="_executorch_coreml.pte",
        colour="#a64587",
        weight_bytes=2,
        probe=coreml_probe,
        packages=COREML_PACKAGES,
        convert=coreml.convert,
        effort=14,
        library_bytes=470_000_000,
        copies=7.0,
        least_cosine=0.999,
        effect=effect.coreml,
        load=not_here,
        read_back=coreml.read_back,
        run_engine=lambda: "Core ML",
        delegate="Core ML",
        runtimes=(COREML_RUNTIME,),
        inspect=coreml.inspect,
        app_code="executorch_coreml",
    ),
)
