"""The tutorial's four formats."""

from __future__ import annotations

from functools import partial

from deploy_core.formats import engines, operators
from deploy_core.formats.format import Format, FormatFamily
from deploy_core.formats.torchscript import conversion, effect, inspection, running
from deploy_core.types import Platform, Runtime

ABOUT = """**TorchScript**, the tutorial's way, in four steps. *Scripted*: the Python model becomes a program. \
*Quantized*: the weights of every Linear layer become int8, one byte instead of four, and activations are quantized \
while it runs (dynamic quantization). *Optimized*: the graph is folded and fused for mobile. *Lite*: the same program \
as bytecode for the small interpreter that fits into an app. Its last phone runtime is 2.1.0."""

FULL_RUNTIME = Runtime(
    name="PyTorch Mobile",
    platforms=(Platform.ANDROID,),
    elsewhere="LibTorch and torch on servers",
    version="2.1.0",
    install="org.pytorch:pytorch_android:2.1.0",
    is_maintained=False,
)
LITE_RUNTIME = Runtime(
    name="PyTorch lite interpreter",
    platforms=(Platform.ANDROID, Platform.IOS),
    version="2.1.0",
    install="org.pytorch:pytorch_android_lite:2.1.0, pod LibTorch-Lite 2.1.0",
    is_maintained=False,
)

TorchScript = partial(
    Format,
    family=FormatFamily("TorchScript", ABOUT),
    is_program=True,
    packages={"torch": "2.12.1", "timm": "1.0.31"},
    save=conversion.save_script,
    library_bytes=0,
    copies=2.3,
    load=running.load_script,
    load_as_on_phone=None,
    takes_batches=True,
    runtime_package="torch",
    runs_in_torch=True,
    observe=operators.by_torch(running.load_script),
    delegate=None,
    runtimes=(FULL_RUNTIME,),
    inspect=inspection.inspect_script,
    app_code="torchscript",
    runs_in_client=False,
)
Int8 = partial(
    TorchScript,
    weight_bytes=1,
    least_cosine=0.99,
    run_engine=engines.run_engine,
    load_as_on_phone=partial(running.load_script, engine=engines.PHONE_ENGINE),
)

ROWS = (
    TorchScript(
        key="scripted",
        title="Scripted",
        summary="TorchScript: the model as a program that runs without Python. Same size, same answers.",
        suffix="_scripted.pt",
        colour="#9b86c1",
        weight_bytes=4,
        probe=lambda: None,
        needs=None,
        options=(),
        convert=conversion.script,
        effort=1,
        least_cosine=0.9999,
        effect=effect.scripted,
        run_engine=lambda: "torch",
    ),
    Int8(
        key="quantized",
        title="Scripted and quantized",
        summary="Dynamic int8: the weights of every Linear layer take one byte instead of four.",
        suffix="_scripted_quantized.pt",
        colour="#268676",
        probe=conversion.quantization_reason,
        needs=None,
        options=("engine", "optimize"),
        convert=conversion.quantize,
        effort=1.5,
        effect=effect.quantized,
    ),
    Int8(
        key="optimized",
        title="Optimized for mobile",
        summary="The quantized program with its graph folded and fused for phones.",
        suffix="_optimized_scripted_quantized.pt",
        colour="#4498b3",
        probe=conversion.optimize_reason,
        needs="quantized",
        options=("engine", "optimize"),
        convert=conversion.optimize,
        effort=1,
        effect=effect.optimized,
    ),
    Int8(
        key="lite",
        title="Lite interpreter",
        summary="The optimized program as bytecode for the small interpreter inside an iOS or Android app.",
        suffix="_optimized_scripted_quantized_lite.ptl",
        colour="#699e32",
        probe=conversion.optimize_reason,
        needs="optimized",
        options=("engine", "optimize"),
        convert=conversion.already_optimized,
        save=conversion.save_lite,
        effort=0.5,
        effect=effect.lite,
        load=running.load_lite,
        load_as_on_phone=partial(running.load_lite, engine=engines.PHONE_ENGINE),
        observe=operators.by_torch(running.load_lite),
        runtimes=(LITE_RUNTIME,),
        inspect=inspection.inspect_lite,
        app_code="lite",
    ),
)
