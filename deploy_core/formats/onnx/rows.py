"""The graph that many runtimes read, browsers among them: ONNX, float32 and int8, run here by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidArtifact
from deploy_core.formats import effects, findings, operators
from deploy_core.formats.exporting import one_picture, quiet, with_plain_attention
from deploy_core.formats.format import Format, Workbench, missing
from deploy_core.formats.operators import Run
from deploy_core.types import Runtime

if TYPE_CHECKING:
    import torch

PACKAGES = {"torch": "2.12.1", "timm": "1.0.31", "onnx": "1.23.2", "onnxruntime": "1.32.0", "onnxscript": "0.7.2"}
# The opset that torch's exporter writes itself: for a lower one it converts the graph, for a higher one it gains
# nothing that DeiT uses. With the IR version of the same ONNX release, ONNX Runtime reads it from 1.14 on.
OPSET = 18
IR_VERSION = 8
INPUT, OUTPUT = "input", "logits"


@dataclass(frozen=True)
class _Session:
    """A loaded file; ONNX Runtime's sessions may be shared between threads."""

    session: Any

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        import torch

        try:
            (logits,) = self.session.run([OUTPUT], {INPUT: pictures.numpy()})
        except Exception as error:
            # ONNX Runtime has a dozen exceptions and no base of them; torch's own files raise this one.
            raise RuntimeError(f"ONNX Runtime: {error}") from error
        return torch.from_numpy(logits)


def _convert(bench: Workbench) -> Any:
    import torch

    # Two pictures, because a batch of one would be taken for a constant.
    example = one_picture(bench.model.spec.input_size).repeat(2, 1, 1, 1)
    with quiet():
        exported = torch.onnx.export(
            with_plain_attention(bench.model.module),
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert exported is not None  # noqa: S101
    return _anonymous(exported.model_proto)


def _anonymous(model: Any) -> Any:
    # The exporter notes where each node came from, with its stack: paths of this machine, of no use elsewhere.
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
    model.ir_version = IR_VERSION
    return model


def _quantize(bench: Workbench) -> Any:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
    from onnxruntime.quantization.quant_utils import QuantizationMode

    # What ``quantize_dynamic`` runs on a copy of its own, but with the result in memory.
    # The patch convolution stays float32: ConvInteger is slow, and not everywhere.
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


def _save(bench: Workbench, model: Any, path: Path) -> None:  # noqa: ARG001
    path.write_bytes(model.SerializeToString())


def _load(path: Path) -> Run:
    import onnxruntime

    options = operators.onnxruntime_options()
    try:
        return _Session(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # a dozen kinds, as above
        raise InvalidArtifact(f"{path.name} is damaged or no ONNX file.", "Build it again.") from error


def _reason() -> str | None:
    return missing(PACKAGES)


RUNTIMES = (
    Runtime(
        name="ONNX Runtime Web",
        platforms="browsers",
        version="1.30.0",
        install="npm install onnxruntime-web@1.30.0",
    ),
    Runtime(
        name="ONNX Runtime",
        platforms="Android",
        version="1.24.2",
        install="com.microsoft.onnxruntime:onnxruntime-android:1.24.2",
    ),
    Runtime(
        name="ONNX Runtime",
        platforms="iOS",
        version="1.24.2",
        install="https://github.com/microsoft/onnxruntime-swift-package-manager, 1.24.2: onnxruntime",
    ),
)

FORMATS = (
    Format(
        key="onnx",
        title="ONNX",
        suffix=".onnx",
        summary="The model as an ONNX graph in one file, for ONNX Runtime on phones, on servers and in browsers.",
        needs=None,
        options=(),
        packages=PACKAGES,
        is_int8=False,
        takes_batches=True,
        effort=2,
        library_bytes=190_000_000,
        copies=4.2,
        least_cosine=0.9999,
        probe=_reason,
        run_engine=lambda: "onnxruntime",
        convert=_convert,
        save=_save,
        load=_load,
        runtimes=RUNTIMES,
        inspect=findings.inspect_onnx,
        app_code="onnx",
        runs_in_torch=False,
        observe=operators.by_onnxruntime,
        effect=effects.onnx,
    ),
    Format(
        key="onnx_int8",
        title="ONNX, int8",
        suffix="_int8.onnx",
        summary="The ONNX graph with int8 Linear layers: small enough for a visitor's own browser.",
        needs="onnx",
        options=(),
        packages=PACKAGES,
        is_int8=True,
        takes_batches=True,
        effort=1,
        library_bytes=190_000_000,
        copies=5.0,
        least_cosine=0.99,
        probe=_reason,
        run_engine=lambda: "onnxruntime",
        convert=_quantize,
        save=_save,
        load=_load,
        runtimes=RUNTIMES,
        inspect=findings.inspect_onnx,
        app_code="onnx",
        runs_in_torch=False,
        observe=operators.by_onnxruntime,
        effect=effects.onnx_int8,
    ),
)
