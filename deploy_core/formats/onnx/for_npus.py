"""The graph with int8 weights and 16-bit activations, as the NPUs of phones take it: for one picture at a time.

Source: ONNX Runtime's documentation of QNN's execution provider, and its ``get_qnn_qdq_config``.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.formats.format import Workbench
from deploy_core.formats.onnx.conversion import BATCH
from deploy_core.formats.onnx.running import INPUT

if TYPE_CHECKING:
    import torch

KEY = "onnx_w8a16"
# Inputs of these are the weights that take one byte. The few others, such as those of LayerNorm, take two.
PRODUCTS = {"MatMul": 1, "Gemm": 0, "Conv": 0}


def quantize(bench: Workbench) -> Any:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

    pictures = bench.calibrate(KEY)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        float_path, path = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        onnx.save_model(_for_one_picture(bench.results["onnx"]), float_path)
        config = get_qnn_qdq_config(
            float_path,
            _reader(pictures),
            activation_type=quantization.QuantType.QUInt16,
            weight_type=quantization.QuantType.QInt8,
            init_overrides=dict(_overrides(bench.results["onnx"].graph)),
        )
        quantization.quantize(float_path, path, config)
        return onnx.load_model(path)


def _for_one_picture(model: Any) -> Any:
    from onnx import ModelProto
    from onnxruntime.tools import onnx_model_utils

    fixed = ModelProto()
    fixed.CopyFrom(model)
    onnx_model_utils.make_dim_param_fixed(fixed.graph, BATCH, 1)
    onnx_model_utils.fix_output_shapes(fixed)
    return fixed


def _overrides(graph: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A scale for each output channel of a product's weights; 16 bits for all others."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType

    readers = {name: (node.op_type, place) for node in graph.node for place, name in enumerate(node.input)}
    for weights in graph.initializer:
        if weights.data_type != TensorProto.FLOAT:
            continue
        kind, place = readers[weights.name]
        if kind in PRODUCTS and place == 1:
            yield weights.name, [{"quant_type": QuantType.QInt8, "axis": PRODUCTS[kind], "symmetric": True}]
        elif kind not in PRODUCTS:
            yield weights.name, [{"quant_type": QuantType.QUInt16}]


def _reader(pictures: torch.Tensor) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.remaining = iter(pictures.numpy())

        def get_next(self) -> dict[str, Any] | None:
            picture = next(self.remaining, None)
            return None if picture is None else {INPUT: picture[None]}

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime advises on the root logger to simplify the graph first, which changes nothing here."""
    root = logging.getLogger()
    was_disabled, root.disabled = root.disabled, True
    try:
        yield
    finally:
        root.disabled = was_disabled
