"""From the model to an ExecuTorch program: export, quantize, and hand over to XNNPACK what it can compute."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.formats.executorch.lean import lean
from deploy_core.formats.exporting import one_picture, program, quiet
from deploy_core.formats.format import Workbench
from deploy_core.types import Delegation

if TYPE_CHECKING:
    import torch

# Calls of the delegate and the unpacking of their results are plumbing of the graph, not operators of the model.
PLUMBING = ("executorch_call_delegate", "getitem")


def convert(bench: Workbench) -> Any:
    with quiet():
        return _lower(bench, "executorch", program(bench))


def convert_int8(bench: Workbench) -> Any:
    import torch

    example = (one_picture(bench.model.spec.input_size),)
    with quiet():
        quantized = _quantize(program(bench).module(), example)
        return _lower(bench, "executorch_int8", torch.export.export(quantized, example))


def save(bench: Workbench, program: Any, path: Path) -> None:  # noqa: ARG001
    with path.open("wb") as file:
        program.write_to_file(file)


def _quantize(module: torch.nn.Module, example: tuple[torch.Tensor]) -> torch.nn.Module:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    int8 = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    # Only the Linear layers, as in the tutorial: the patch convolution holds a hundredth of the weights.
    prepared = prepare_pt2e(module, XNNPACKQuantizer().set_module_type(torch.nn.Linear, int8))
    # The observers need one call. Its input does not matter, because activations are quantized while the program runs.
    prepared(*example)
    quantized: torch.nn.Module = convert_pt2e(prepared)
    return quantized


def _lower(bench: Workbench, key: str, exported: Any) -> Any:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    name_flatc()
    # The file is compared with the original. Checking the graph in between took a tenth of the time.
    unchecked = EdgeCompileConfig(_check_ir_validity=False)
    with lean():
        edge = to_edge_transform_and_lower(
            exported,
            transform_passes=[_with_operators_of_xnnpack()],
            partitioner=[XnnpackPartitioner()],
            compile_config=unchecked,
        )
    bench.delegations[key] = delegation(edge.exported_program().graph_module)
    return edge.to_executorch()


def name_flatc() -> None:
    """Tells ExecuTorch's serializer where ``flatc`` is, once for the process and before its first use.

    The serializer starts it by name. The script of that name is on the PATH only in an activated environment, and
    starts a Python for each of the delegate's graphs. This is the program that the script calls.
    """
    import executorch.data.bin

    os.environ.setdefault("FLATC_EXECUTABLE", str(Path(executorch.data.bin.__file__).with_name("flatc")))


def _with_operators_of_xnnpack() -> Any:
    """A pass that rewrites three operators into ones that XNNPACK has, or drops them where they do nothing.

    Each operator that XNNPACK lacks cuts its graph in two. Without this pass, DeiT-Base came to 62 pieces instead of
    26, and its int8 program ran a tenth slower.
    """
    from executorch.exir.dialects._ops import ops
    from executorch.exir.pass_base import ExportPass

    aten = ops.edge.aten

    class WithOperatorsOfXnnpack(ExportPass):  # type: ignore[misc]
        def call_operator(self, operator: Any, args: Any, kwargs: Any, meta: Any) -> Any:
            call = super().call_operator
            if operator == aten.expand_copy.default and args[0].data.shape == meta["val"].shape:
                return args[0]
            if operator == aten.squeeze_copy.dims:
                return call(aten.view_copy.default, (args[0], list(meta["val"].shape)), {}, meta)
            if operator == aten.select_copy.int and args[2] >= 0:
                whole, dimension, index = args
                piece = call(aten.slice_copy.Tensor, (whole, dimension, index, index + 1), {}, meta)
                return call(aten.view_copy.default, (piece, list(meta["val"].shape)), {}, meta)
            return call(operator, args, kwargs, meta)

    return WithOperatorsOfXnnpack()


def delegation(graph: Any) -> Delegation:
    """What a lowered graph hands to its delegate."""
    from executorch.devtools.backend_debug import get_delegation_info

    operators = [
        operator for name, operator in get_delegation_info(graph).delegation_by_operator.items() if name not in PLUMBING
    ]
    delegated = sum(operator.delegated for operator in operators)
    left = sum(operator.non_delegated for operator in operators)
    return Delegation(
        percent=100 * delegated / (delegated + left),
        undelegated=tuple(sorted(operator.op_type for operator in operators if operator.non_delegated)),
    )
