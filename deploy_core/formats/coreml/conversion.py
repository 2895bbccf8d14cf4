"""From the model to a Core ML program in float16, and from that to its twin with int8 weights."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from deploy_core.formats.coreml import package
from deploy_core.formats.coreml.package import Package
from deploy_core.formats.coreml.tools import coremltools
from deploy_core.formats.exporting import program
from deploy_core.formats.format import Workbench

INPUT, OUTPUT = "input", "logits"
# The first iOS whose programs may hold int8 weights; it runs on every iPhone since the 8.
TARGET = "iOS16"
# coremltools notes the day of a conversion in the file.
CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"


def convert(bench: Workbench) -> Package:
    import numpy as np

    size = bench.model.spec.input_size
    with coremltools() as ct:
        return _taken(
            ct.convert(
                program(bench).run_decompositions({}),
                convert_to="mlprogram",
                minimum_deployment_target=ct.target[TARGET],
                compute_precision=ct.precision.FLOAT16,
                # Without a type, input and output are float16, which Swift has not on every Mac.
                inputs=[ct.TensorType(name=INPUT, shape=(1, 3, size, size), dtype=np.float32)],
                outputs=[ct.TensorType(name=OUTPUT, dtype=np.float32)],
                skip_model_load=True,
            )
        )


def quantize(bench: Workbench) -> Package:
    """One scale for each output channel of the Linear layers, as in the other int8 formats."""
    with coremltools() as ct, tempfile.TemporaryDirectory() as place:
        from coremltools.optimize import coreml

        int8 = coreml.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=0)
        folder = Path(place) / f"model{package.SUFFIX}"
        package.unpack(bench.results["coreml"], folder)
        model = ct.models.MLModel(str(folder), skip_model_load=True)
        return _taken(
            coreml.linear_quantize_weights(model, coreml.OptimizationConfig(op_type_configs={"linear": int8}))
        )


def save(bench: Workbench, made: Package, path: Path) -> None:  # noqa: ARG001
    package.write(made, path)


def _taken(model: Any) -> Package:
    """What a model of coremltools holds. Its folder goes; coremltools would keep it until the process ends."""
    spec = model.get_spec()
    spec.description.metadata.userDefined.pop(CONVERSION_DATE, None)
    folder = Path(model.package_path)
    taken = Package(spec.SerializeToString(deterministic=True), package.of_folder(folder).weights)
    shutil.rmtree(folder, ignore_errors=True)
    return taken
