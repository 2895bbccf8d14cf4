"""The formats for ONNX Runtime."""

from __future__ import annotations

from functools import partial

from deploy_core.formats.format import Format, FormatFamily, missing
from deploy_core.formats.onnx import conversion, effect, for_npus, inspection, running
from deploy_core.types import Platform, Runtime

ABOUT = """**ONNX**, a format that many runtimes read: onnxruntime on phones and servers, onnxruntime-web in a \
browser."""

PACKAGES = {"torch": "2.12.1", "timm": "1.0.31", "onnx": "1.23.2", "onnxruntime": "1.32.0", "onnxscript": "0.7.2"}
BROWSER_RUNTIME = Runtime(
    name="ONNX Runtime Web",
    platforms=(Platform.BROWSERS,),
    version="1.30.0",
    install="npm install onnxruntime-web@1.30.0",
)
ANDROID_RUNTIME = Runtime(
    name="ONNX Runtime",
    platforms=(Platform.ANDROID,),
    version="1.24.2",
    install="com.microsoft.onnxruntime:onnxruntime-android:1.24.2",
)
APPLE_RUNTIME = Runtime(
    name="ONNX Runtime",
    platforms=(Platform.IOS,),
    version="1.24.2",
    install="https://github.com/microsoft/onnxruntime-swift-package-manager, 1.24.2: onnxruntime",
)
NPU_RUNTIME = Runtime(
    name="ONNX Runtime with QNN",
    platforms=(Platform.ANDROID,),
    version="1.24.2",
    install="com.microsoft.onnxruntime:onnxruntime-android-qnn:1.24.2",
    elsewhere="Windows on Snapdragon",
)

Onnx = partial(
    Format,
    family=FormatFamily("ONNX", ABOUT),
    is_program=False,
    probe=partial(missing, PACKAGES),
    options=(),
    packages=PACKAGES,
    save=conversion.save,
    library_bytes=190_000_000,
    load=running.load,
    load_as_on_phone=None,
    takes_batches=True,
    run_engine=lambda: "onnxruntime",
    runtime_package="onnxruntime",
    runs_in_torch=False,
    observe=running.observe,
    delegate=None,
    runtimes=(BROWSER_RUNTIME, ANDROID_RUNTIME, APPLE_RUNTIME),
    inspect=inspection.inspect,
    app_code="onnx",
    runs_in_client=True,
)

ROWS = (
    Onnx(
        key="onnx",
        title="ONNX",
        summary="The model as an ONNX graph in one file, for ONNX Runtime on phones, on servers and in browsers.",
        suffix=".onnx",
        colour="#9d877e",
        weight_bytes=4,
        needs=None,
        convert=conversion.convert,
        effort=2,
        copies=4.2,
        least_cosine=0.9999,
        effect=effect.float32,
    ),
    Onnx(
        key="onnx_int8",
        title="ONNX, int8",
        summary="The ONNX graph with int8 Linear layers: small enough for a visitor's own browser.",
        suffix="_int8.onnx",
        colour="#b58b2b",
        weight_bytes=1,
        needs="onnx",
        convert=conversion.quantize,
        effort=1,
        copies=5.0,
        least_cosine=0.99,
        effect=effect.int8,
    ),
    Onnx(
        key="onnx_float16",
        title="ONNX, float16",
        summary="The ONNX graph in half precision: half the download, for browsers whose WebGPU has shader-f16. "
        "A CPU runs it slower than float32.",
        suffix="_float16.onnx",
        colour="#78645a",
        weight_bytes=2,
        needs="onnx",
        convert=conversion.halve,
        effort=1,
        copies=5.0,
        least_cosine=0.9999,
        effect=effect.half,
        client_backends=("webgpu",),
    ),
    Onnx(
        key=for_npus.KEY,
        title="ONNX, w8a16",
        summary="The ONNX graph with int8 weights and 16-bit activations, for the NPUs of phones. Slow on a processor.",
        suffix="_w8a16.onnx",
        colour="#f26641",
        weight_bytes=1,
        needs="onnx",
        convert=for_npus.quantize,
        effort=12,
        copies=7.0,
        least_cosine=0.97,
        effect=effect.for_npus,
        takes_batches=False,
        runtimes=(NPU_RUNTIME,),
        app_code="onnx_npu",
        runs_in_client=False,
    ),
)
