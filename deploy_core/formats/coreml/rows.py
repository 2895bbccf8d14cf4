"""The two formats for Core ML."""

from __future__ import annotations

from functools import partial

from deploy_core.formats.coreml import conversion, effect, inspection, reading
from deploy_core.formats.coreml.inspection import IOS, MACOS
from deploy_core.formats.format import Format, FormatFamily, missing, not_here, other_version
from deploy_core.types import Platform, Runtime

ABOUT = """**Core ML**, Apple's own runtime, which also uses the GPU and the Neural Engine of its devices. It runs on \
nothing else, so these files are *built here, not run here*: their operators and weights are read back and compared, \
and an interpreter answers one photograph. The test in a bundle compares the answers on your device."""

COREMLTOOLS = "9.0"
PACKAGES = {"torch": "2.12.1", "timm": "1.0.31", "coremltools": COREMLTOOLS}
RUNTIME = Runtime(
    name="Core ML",
    platforms=(Platform.IOS, Platform.MACOS),
    version=f"of iOS {IOS} and macOS {MACOS}",
    install="part of the system",
)


def probe() -> str | None:
    return missing(PACKAGES) or other_version("coremltools", COREMLTOOLS)


CoreML = partial(
    Format,
    family=FormatFamily("Core ML", ABOUT),
    is_program=False,
    probe=probe,
    options=(),
    packages=PACKAGES,
    save=conversion.save,
    library_bytes=350_000_000,
    load=not_here,
    read_back=reading.read_back,
    load_as_on_phone=None,
    takes_batches=False,
    run_engine=lambda: "Core ML",
    runtime_package="coremltools",
    runs_in_torch=False,
    observe=None,
    delegate=None,
    runtimes=(RUNTIME,),
    inspect=inspection.inspect,
    app_code="coreml",
    runs_in_client=False,
)

ROWS = (
    CoreML(
        key="coreml",
        title="Core ML",
        summary="A float16 program for Apple's own runtime, with its GPU and Neural Engine; unzip it for Xcode.",
        suffix="_coreml.mlpackage.zip",
        colour="#a422c6",
        weight_bytes=2,
        needs=None,
        convert=conversion.convert,
        effort=8,
        copies=5.7,
        least_cosine=0.999,
        effect=effect.float16,
    ),
    CoreML(
        key="coreml_int8",
        title="Core ML, int8 weights",
        summary="The Core ML program with int8 weights of its Linear layers: half the download.",
        suffix="_coreml_int8.mlpackage.zip",
        colour="#d732bb",
        weight_bytes=1,
        needs="coreml",
        convert=conversion.quantize,
        effort=8,
        copies=5.7,
        least_cosine=0.99,
        effect=effect.int8,
    ),
)
