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

    Source: NNCF's post-training quantization for transformers, with SmoothQuant (arXiv 2211.10438) and bias correction.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    pictures = bench.calibrate("openvino_int8")
    # It draws its progress on standard output, where the command line's answer goes.
    with quiet(), redirect_stdout(StringIO()):
        return nncf.quantize(
            bench.results["openvino"].clone(),
            nncf.Dataset([picture[None].numpy() for picture in pictures]),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(pictures),
        )


def save(bench: Workbench, model: Any, path: Path) -> None:  # noqa: ARG001
    import openvino

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        graph = Path(folder) / archive.GRAPH
        openvino.save_model(model, graph, compress_to_fp16=False)
        archive.pack(graph, path)
