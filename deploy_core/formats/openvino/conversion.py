"""From the model to OpenVINO's IR, and from that to its int8 twin."""

from __future__ import annotations

import logging
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from deploy_core.formats.exporting import one_picture, quiet
from deploy_core.formats.format import Workbench
from deploy_core.formats.openvino import archive
from deploy_core.formats.openvino.running import INPUT, OUTPUT

ATTENTION, SMOOTHING = "ScaledDotProductAttention", 0.5


def convert(bench: Workbench) -> Any:
    """The graph for batches of any size. Fused attention stays, because OpenVINO has an operator for it."""
    import openvino
    import torch

    size = bench.model.spec.input_size
    # Two pictures, because the exporter would take a batch of one for a constant.
    example = one_picture(size).repeat(2, 1, 1, 1)
    with quiet():
        program = torch.export.export(
            bench.model.module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
        )
        model = openvino.convert_model(program)
    model.reshape([-1, 3, size, size])
    model.inputs[0].get_tensor().set_names({INPUT})
    model.outputs[0].get_tensor().set_names({OUTPUT})
    return model


def quantize(bench: Workbench) -> Any:
    """Int8 activations too, with scales from calibration pictures.

    Source: NNCF's post-training quantization for transformers, with SmoothQuant (arXiv 2211.10438) in its paper's
    strength, and bias correction. Attention and its projection stay float32 (docs/decisions/0021).
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, AdvancedSmoothQuantParameters

    nncf.set_log_level(logging.ERROR)
    model, pictures = bench.results["openvino"].clone(), bench.calibrate("openvino_int8")
    # It draws its progress on standard output, where the command line's answer goes.
    with quiet(), redirect_stdout(StringIO()):
        return nncf.quantize(
            model,
            nncf.Dataset([picture[None].numpy() for picture in pictures]),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(pictures),
            ignored_scope=nncf.IgnoredScope(names=_projections(model), types=[ATTENTION], validate=False),
            advanced_parameters=AdvancedQuantizationParameters(
                smooth_quant_alphas=AdvancedSmoothQuantParameters(matmul=SMOOTHING)
            ),
        )


def _projections(model: Any) -> list[str]:
    """The names of the products that read what attention gives, put together from its heads."""
    products = [node for node in model.get_ops() if node.get_type_name() == "MatMul"]
    return [
        node.get_friendly_name()
        for node in products
        if node.input(0).get_source_output().get_node().get_type_name() == "Reshape"
    ]


def save(bench: Workbench, model: Any, path: Path) -> None:  # noqa: ARG001
    import openvino

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        graph = Path(folder) / archive.GRAPH
        openvino.save_model(model, graph, compress_to_fp16=False)
        archive.pack(graph, path)
