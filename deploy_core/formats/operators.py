"""Where the time of one inference goes inside a file: operators by self time, and a trace to look at.

Runtimes name their operators differently; ``GROUPS`` says the same of all of them, so that two files can be laid side
by side.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from deploy_core.types import OperatorTime

if TYPE_CHECKING:
    import torch

Run = Callable[["torch.Tensor"], "torch.Tensor"]
Observe = Callable[[Path, "torch.Tensor", "Path | None"], tuple[OperatorTime, ...]]

WARMUP = 3
CALLS = 5
OTHER = "other"
VNNI = ("avx512_vnni", "avx_vnni")
# The first pattern that an operator's whole name matches decides.
GROUPS: dict[str, str] = {
    "matrix products": r"aten::(addmm|mm|bmm|baddbmm|matmul|linear)|quantized::linear.*|mkldnn.*linear.*"
    r"|.*MatMul.*|.*Gemm.*",
    "attention": r"aten::.*(scaled_dot_product|softmax).*|.*Softmax|.*Attention",
    "quantization": r"aten::.*quantize.*|aten::.*qparams.*|.*QuantizeLinear",
    "normalization": r"aten::.*layer_norm|.*LayerNormalization",
    "activation": r"aten::gelu|.*Gelu|Erf",
    "convolution": r"aten::.*conv.*|prepacked::conv.*|.*Conv",
    "copies and layout": r"aten::(copy_|clone|contiguous|_?to|_to_copy|cat|stack|permute|transpose|t|_?reshape.*"
    r"|_?unsafe_view|view|as_strided|slice|select|expand|expand_as|flatten|unbind|chunk|split.*|squeeze.*|unsqueeze"
    r"|narrow|alias|detach|lift_fresh|empty.*|resize_.*|fill_|zero_|zeros)|Transpose|Reshape|Concat|Slice|Split|Gather"
    r"|Squeeze|Unsqueeze|Expand|Flatten|Cast|Identity|Shape|Reorder.*",
    "arithmetic": r"aten::(add|add_|mul|mul_|div|div_|sub|mean|sum|pow|sqrt|tanh|sigmoid).*|Add|Mul|Div|Sub|Pow|Sqrt"
    r"|Reduce.*|Tanh|.*FusedElementwise",
    "interpreter": r"[^:]*forward.*|<.*>|profiler::.*|.*Interpreter.*",
}


def group_of(operator: str) -> str:
    """What kind of work an operator of any runtime does."""
    return next((group for group, pattern in GROUPS.items() if re.fullmatch(pattern, operator)), OTHER)


def by_torch(load: Callable[[Path], Run]) -> Observe:
    """What torch's profiler sees of the files that ``load`` reads; the sum is the tutorial's self CPU time."""

    def observe(path: Path, pictures: torch.Tensor, trace: Path | None) -> tuple[OperatorTime, ...]:
        from torch.autograd.profiler import profile

        # It looks for a GPU that the wheel could use, and reports that there is none as an error.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        run = load(path)
        for _ in range(WARMUP):
            run(pictures)
        calls = []
        for _ in range(CALLS):
            with profile() as profiler:
                run(pictures)
            calls.append([(event.key, event.self_cpu_time_total, event.count) for event in profiler.key_averages()])
        if trace:
            profiler.export_chrome_trace(str(trace))
        return typical(map(_table, calls))

    return observe


def onnxruntime_options() -> Any:
    """How ONNX Runtime computes here: with torch's number of threads, which sleep between calls, and exactly."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for the next call by spinning take the processor from whatever is measured beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without VNNI, x86 adds up int8 products in 16 bits, which overflow: docs/decisions/0009-proof.md.
    if not any(torch.cpu.get_capabilities().get(name) for name in VNNI):
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def by_onnxruntime(path: Path, pictures: torch.Tensor, trace: Path | None) -> tuple[OperatorTime, ...]:
    """What ONNX Runtime's own profile says."""
    import onnxruntime

    options = onnxruntime_options()
    with tempfile.TemporaryDirectory() as folder:
        options.enable_profiling = True
        options.profile_file_prefix = f"{folder}/trace"
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        for _ in range(WARMUP + CALLS):
            session.run(None, {source.name: pictures.numpy()})
        text = Path(session.end_profiling()).read_text()
    if trace:
        trace.write_text(text)
    return typical(map(_table, _nodes(json.loads(text))))


def typical(seen: Iterable[Iterable[OperatorTime]]) -> tuple[OperatorTime, ...]:
    """The median of each operator over several tables: what disturbed one call, or one moment, does not count."""
    tables = [{row.name: row for row in table} for table in seen]
    rows = []
    for name in dict.fromkeys(name for table in tables for name in table):
        found = [table.get(name, OperatorTime(name, group_of(name), 0.0, 0.0)) for table in tables]
        spent, calls = (median(values) for values in zip(*((row.self_ms, row.calls) for row in found), strict=True))
        if calls:
            rows.append(OperatorTime(name, group_of(name), spent, calls))
    return tuple(sorted(rows, key=lambda row: row.self_ms, reverse=True))


Seen = list[tuple[str, float, float]]


def _nodes(events: list[dict[str, Any]]) -> Iterator[Seen]:
    """Each of the last ``CALLS`` calls: the operator of each kernel, microseconds, and 1."""
    for run in [event for event in events if event["name"] == "model_run"][-CALLS:]:
        yield [
            (event["args"]["op_name"], event["dur"], 1)
            for event in events
            if event.get("cat") == "Node"
            and event["name"].endswith("_kernel_time")
            and run["ts"] <= event["ts"] <= run["ts"] + run["dur"]
        ]


def _table(seen: Seen) -> list[OperatorTime]:
    """The operators of one call."""
    microseconds: dict[str, float] = defaultdict(float)
    calls: dict[str, float] = defaultdict(float)
    for name, spent, count in seen:
        microseconds[name] += spent
        calls[name] += count
    return [OperatorTime(name, group_of(name), spent / 1000, calls[name]) for name, spent in microseconds.items()]
