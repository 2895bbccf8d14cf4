"""From the model to an ONNX graph, and from that to its int8 twin."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from deploy_core.formats.exporting import one_picture, quiet, sharing_history, with_plain_attention
from deploy_core.formats.format import Workbench
from deploy_core.formats.onnx.running import INPUT, OUTPUT

# torch's exporter writes this opset itself. For a lower one it would convert the graph, and a higher one has nothing
# that DeiT uses. With the IR version of the same ONNX release, ONNX Runtime reads the file from 1.14 on.
OPSET = 18
IR_VERSION = 8
BATCH = "batch"


def convert(bench: Workbench) -> Any:
    import torch

    # Two pictures, because the exporter would take a batch of one for a constant.
    example = one_picture(bench.model.spec.input_size).repeat(2, 1, 1, 1)
    with quiet(), sharing_history():
        exported = torch.onnx.export(
            with_plain_attention(bench.model.module),
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
        )
    assert exported is not None  # noqa: S101
    return _anonymous(exported.model_proto)


def _anonymous(model: Any) -> Any:
    # The exporter notes where each node came from, with its stack: paths of this machine, which help nobody elsewhere.
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
    model.ir_version = IR_VERSION
    return model


def quantize(bench: Workbench) -> Any:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
    from onnxruntime.quantization.quant_utils import QuantizationMode

    # As ``quantize_dynamic`` does, which reads and writes files, but with the result in memory.
    # The patch convolution stays float32: ConvInteger is slow, and some runtimes lack it.
    quantizer = ONNXQuantizer(
        bench.results["onnx"],
        per_channel=True,
        reduce_range=False,
        mode=QuantizationMode.IntegerOps,
        static=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=None,
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=["MatMul", "Gemm"],
        # The products of attention are of two activations, and stay float32.
        extra_options={"MatMulConstBOnly": True},
    )
    quantizer.quantize_model()
    return quantizer.model.model


def halve(bench: Workbench) -> Any:
    """The graph in float16; what goes in and out stays float32, so that apps need no other code."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        # Weights below float16's smallest number become it.
        warnings.filterwarnings("ignore", message="the float32 number .* will be truncated", category=UserWarning)
        model = convert_float_to_float16(bench.results["onnx"], keep_io_types=True)
    # The converter puts the cast of the input last. ONNX wants each node after those that it reads.
    nodes = sorted(model.graph.node, key=lambda node: INPUT not in node.input)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def save(bench: Workbench, model: Any, path: Path) -> None:  # noqa: ARG001
    path.write_bytes(model.SerializeToString())
