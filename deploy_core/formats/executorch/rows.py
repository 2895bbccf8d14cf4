"""PyTorch's current runtime for phones: programs for ExecuTorch, float32 and int8, computed by XNNPACK."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import effects, findings
from deploy_core.formats.exporting import one_picture, quiet, with_plain_attention
from deploy_core.formats.format import Format, Workbench, missing
from deploy_core.formats.operators import Run
from deploy_core.types import Delegation, Runtime

if TYPE_CHECKING:
    import torch

PACKAGES = {"torch": "2.12.1", "timm": "1.0.31", "executorch": "1.3.1", "torchao": "0.17.0"}
# Calls of the delegate and the unpacking of what it returns: plumbing of the graph, not operators of the model.
PLUMBING = ("executorch_call_delegate", "getitem")


@dataclass(frozen=True, eq=False)
class _Program:
    """A loaded file. ExecuTorch keeps the inputs of a call inside the method, so calls go one at a time."""

    name: str
    program: Any
    method: Any
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        if len(pictures) != 1:
            raise InvalidRequest(
                f"{self.name} is an ExecuTorch program for one picture at a time, not for {len(pictures)}.",
                "Ask it picture by picture.",
            )
        with self.turn:
            logits: torch.Tensor = self.method((pictures.contiguous(),))[0]
        return logits


_loading = threading.Lock()
_loaded: weakref.WeakSet[_Program] = weakref.WeakSet()


def _convert(bench: Workbench) -> Any:
    import torch

    example = (one_picture(bench.model.spec.input_size),)
    with quiet():
        exported = torch.export.export(with_plain_attention(bench.model.module), example)
        return _lower(bench, "executorch", exported)


def _convert_int8(bench: Workbench) -> Any:
    import torch

    example = (one_picture(bench.model.spec.input_size),)
    with quiet():
        exported = torch.export.export(with_plain_attention(bench.model.module), example)
        quantized = _quantize(exported.module(), example)
        del exported
        return _lower(bench, "executorch_int8", torch.export.export(quantized, example))


def _quantize(module: torch.nn.Module, example: tuple[torch.Tensor]) -> torch.nn.Module:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    int8 = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    # As in the tutorial, only the Linear layers: the patch convolution is a hundredth of the weights.
    prepared = prepare_pt2e(module, XNNPACKQuantizer().set_module_type(torch.nn.Linear, int8))
    # Activations are quantized while the program runs, so any one input shows the observers what they need.
    prepared(*example)
    quantized: torch.nn.Module = convert_pt2e(prepared)
    return quantized


def _lower(bench: Workbench, key: str, exported: Any) -> Any:
    import executorch.data.bin
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    # The serializer starts flatc by name. Its script is on the PATH only where the environment is activated, and
    # starts a Python for each of the delegate's graphs; this is the program behind it.
    os.environ.setdefault("FLATC_EXECUTABLE", str(Path(executorch.data.bin.__file__).with_name("flatc")))
    edge = to_edge_transform_and_lower(
        exported, transform_passes=[_in_words_of_xnnpack()], partitioner=[XnnpackPartitioner()]
    )
    bench.delegations[key] = _delegation(edge.exported_program().graph_module)
    return edge.to_executorch()


def _in_words_of_xnnpack() -> Any:
    """A pass that says the same with operators that XNNPACK has, and leaves out what does nothing.

    Each operator it lacks cuts its graph in two: with these three left as they are, DeiT-Base came to 62 pieces
    instead of 26, and its int8 program ran a tenth slower.
    """
    from executorch.exir.dialects._ops import ops
    from executorch.exir.pass_base import ExportPass

    aten = ops.edge.aten

    class InWordsOfXnnpack(ExportPass):  # type: ignore[misc]
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

    return InWordsOfXnnpack()


def _delegation(graph: Any) -> Delegation:
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


def _save(bench: Workbench, program: Any, path: Path) -> None:  # noqa: ARG001
    with path.open("wb") as file:
        program.write_to_file(file)


def _load(path: Path) -> Run:
    # Beside torch, the runtime needs no more of executorch than this module; ``executorch.runtime`` imports the
    # exporter too, which takes 3 seconds.
    import torch  # noqa: F401
    from executorch.extension.pybindings import _portable_lib as runtime

    with _loading:
        _follow_threads_of_torch(runtime)
        try:
            program = runtime._load_program(str(path), program_verification=runtime.Verification.InternalConsistency)
            loaded = _Program(path.name, program, program.load_method("forward"))
        except RuntimeError as error:
            raise InvalidArtifact(f"{path.name} is damaged or no ExecuTorch file.", "Build it again.") from error
        _loaded.add(loaded)
    return loaded


def _follow_threads_of_torch(runtime: Any) -> None:
    import torch

    # The process has one pool, and loaded programs point into it: replacing it under them ends the process.
    threads = torch.get_num_threads()
    if not _loaded and runtime._threadpool_get_thread_count() != threads:
        runtime._unsafe_reset_threadpool(threads)


def _reason() -> str | None:
    return missing(PACKAGES)


ANDROID_RUNTIME = Runtime(
    name="ExecuTorch",
    platforms="Android",
    version="1.3.1",
    install="org.pytorch:executorch-android:1.3.1",
)
APPLE_RUNTIME = Runtime(
    name="ExecuTorch",
    platforms="iOS, macOS",
    version="1.3.1",
    install="https://github.com/pytorch/executorch, branch swiftpm-1.3.1: executorch, backend_xnnpack, "
    "kernels_optimized",
)
RUNTIMES = (ANDROID_RUNTIME, APPLE_RUNTIME)

FORMATS = (
    Format(
        key="executorch",
        title="ExecuTorch",
        suffix="_executorch.pte",
        summary="A program for ExecuTorch, PyTorch's current runtime on phones; XNNPACK computes most of it.",
        needs=None,
        options=(),
        packages=PACKAGES,
        is_int8=False,
        takes_batches=False,
        effort=6,
        library_bytes=220_000_000,
        copies=4.0,
        least_cosine=0.9999,
        probe=_reason,
        run_engine=lambda: "XNNPACK",
        convert=_convert,
        save=_save,
        load=_load,
        runtimes=RUNTIMES,
        inspect=findings.inspect_executorch,
        app_code="executorch",
        runs_in_torch=False,
        observe=None,
        effect=effects.executorch,
    ),
    Format(
        key="executorch_int8",
        title="ExecuTorch, int8",
        suffix="_executorch_int8.pte",
        summary="The ExecuTorch program with int8 Linear layers, a scale for each output channel.",
        needs=None,
        options=(),
        packages=PACKAGES,
        is_int8=True,
        takes_batches=False,
        effort=10,
        library_bytes=220_000_000,
        copies=2.2,
        least_cosine=0.99,
        probe=_reason,
        run_engine=lambda: "XNNPACK",
        convert=_convert_int8,
        save=_save,
        load=_load,
        runtimes=RUNTIMES,
        inspect=findings.inspect_executorch,
        app_code="executorch",
        runs_in_torch=False,
        observe=None,
        effect=effects.executorch_int8,
    ),
)
