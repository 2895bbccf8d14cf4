"""The formats for OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import starmap

from deploy_core.formats.format import Format, FormatFamily, missing, other_version
from deploy_core.formats.openvino import conversion, effect, inspection, running
from deploy_core.types import Platform, Runtime

ABOUT = """**OpenVINO**, Intel's runtime for servers and PCs. It runs on processors of Intel, AMD and Arm."""

OWN = {"openvino": "2026.4.1"}
INT8_OWN = {**OWN, "nncf": "3.4.0"}
TORCH = {"torch": "2.12.1", "timm": "1.0.31"}
RUNTIME = Runtime(
    name="OpenVINO",
    platforms=(Platform.SERVERS,),
    version="2026.4.1",
    install="pip install openvino==2026.4.1",
    elsewhere="PCs with Windows, Linux or macOS",
)


def probe(own: Mapping[str, str]) -> str | None:
    """None, or what to install: a package is missing, or in another version than the files were tried with."""
    return missing(own) or next(filter(None, starmap(other_version, own.items())), None)


OpenVino = partial(
    Format,
    family=FormatFamily("OpenVINO", ABOUT),
    is_program=False,
    options=(),
    save=conversion.save,
    library_bytes=350_000_000,
    load=running.load,
    load_as_on_phone=None,
    takes_batches=True,
    run_engine=lambda: "OpenVINO",
    runtime_package="openvino",
    runs_in_torch=False,
    observe=running.observe,
    delegate=None,
    runtimes=(RUNTIME,),
    inspect=inspection.inspect,
    app_code="openvino",
    runs_in_client=False,
)

ROWS = (
    OpenVino(
        key="openvino",
        title="OpenVINO",
        summary="The model for OpenVINO on a server or a PC. It computes in bfloat16 where the processor has it.",
        suffix="_openvino.zip",
        colour="#4d70a3",
        weight_bytes=4,
        probe=partial(probe, OWN),
        needs=None,
        packages=TORCH | OWN,
        convert=conversion.convert,
        effort=2,
        copies=3.0,
        least_cosine=0.999,
        effect=effect.float32,
    ),
    OpenVino(
        key="openvino_int8",
        title="OpenVINO, int8",
        summary="Int8 weights and activations for OpenVINO, with scales learned from pictures: for servers.",
        suffix="_openvino_int8.zip",
        colour="#5782e0",
        weight_bytes=1,
        probe=partial(probe, INT8_OWN),
        needs="openvino",
        packages=TORCH | INT8_OWN,
        convert=conversion.quantize,
        effort=12,
        copies=4.0,
        least_cosine=0.97,
        effect=effect.int8,
    ),
)
