"""The two formats for LiteRT."""

from __future__ import annotations

from functools import partial

from deploy_core.formats.format import Format, FormatFamily, missing
from deploy_core.formats.litert import conversion, effect, inspection, running
from deploy_core.types import Platform, Runtime

ABOUT = """**LiteRT**, formerly TensorFlow Lite, Google's runtime for Android; the same file runs in a browser. The \
XNNPACK library computes all of it on a processor."""

PACKAGES = {
    "torch": "2.12.1",
    "timm": "1.0.31",
    "ai-edge-litert": "2.3.0",
    "ai-edge-quantizer": "0.10.0",
    "litert-converter": "0.5.0",
    "litert-torch": "0.10.0",
    "jax": "0.10.2",
    "jaxlib": "0.10.2",
}
REQUIREMENTS = "requirements-litert.txt"
BROWSER_RUNTIME = Runtime(
    name="LiteRT.js",
    platforms=(Platform.BROWSERS,),
    version="2.5.3",
    install="npm install @litertjs/core@2.5.3",
)
# Google's list of releases names Android 6.0 for 2.3, its overview Android 7.0: this is the safe one.
ANDROID_RUNTIME = Runtime(
    name="LiteRT",
    platforms=(Platform.ANDROID,),
    version="2.3.0",
    install="com.google.ai.edge.litert:litert:2.3.0, for Android 7.0 (API 24) or later",
)

LiteRt = partial(
    Format,
    family=FormatFamily("LiteRT", ABOUT),
    is_program=False,
    probe=partial(missing, PACKAGES, REQUIREMENTS),
    options=(),
    packages=PACKAGES,
    requirements=REQUIREMENTS,
    library_bytes=1_100_000_000,
    load=running.load,
    load_as_on_phone=None,
    takes_batches=False,
    run_engine=lambda: "XNNPACK",
    runtime_package="ai-edge-litert",
    runs_in_torch=False,
    observe=None,
    delegate="XNNPACK",
    runtimes=(BROWSER_RUNTIME, ANDROID_RUNTIME),
    inspect=inspection.inspect,
    app_code="litert",
    runs_in_client=True,
    client_backends=("wasm",),
)

ROWS = (
    LiteRt(
        key="litert",
        title="LiteRT",
        summary="The model for LiteRT, Google's runtime on Android, which also runs in browsers.",
        suffix=".tflite",
        colour="#2c61e6",
        weight_bytes=4,
        needs=None,
        convert=conversion.convert,
        save=lambda bench, model, path: conversion.save(bench, "litert", model, path),
        effort=16,
        copies=5.5,
        least_cosine=0.9999,
        effect=effect.float32,
    ),
    LiteRt(
        key="litert_int8",
        title="LiteRT, int8",
        summary="The LiteRT file with int8 Linear layers, a scale for each output channel.",
        suffix="_int8.tflite",
        colour="#c56fdf",
        weight_bytes=1,
        needs="litert",
        convert=conversion.quantize,
        save=lambda bench, model, path: conversion.save(bench, "litert_int8", model, path),
        effort=2,
        copies=4.0,
        least_cosine=0.99,
        effect=effect.int8,
    ),
)
