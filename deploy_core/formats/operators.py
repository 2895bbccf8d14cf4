"""Where the time of one inference goes inside a file: its operators by self time, and a trace for a viewer.

Runtimes name their operators differently. ``GROUPS`` sorts them into the same kinds, so that two files can be compared.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from deploy_core.types import OperatorTime

if TYPE_CHECKING:
    import torch

Run = Callable[["torch.Tensor"], "torch.Tensor"]
# Takes a file, pictures as float32 (N, 3, S, S), and where to write a trace.
Observe = Callable[[Path, "torch.Tensor", "Path | None"], tuple[OperatorTime, ...]]
# What a profiler saw: an operator, its microseconds, and how often it was called.
Timings = list[tuple[str, float, float]]

WARMUP = 3
CALLS = 5
OTHER = "other"
# An operator belongs to the first group whose pattern matches its whole name.
GROUPS: dict[str, str] = {
    "matrix products": r"aten::(addmm|mm|bmm|baddbmm|matmul|linear)|quantized::linear.*|mkldnn.*linear.*"
    r"|.*MatMul.*|.*Gemm.*|FullyConnected.*",
    "attention": r"aten::.*(scaled_dot_product|softmax).*|.*Softmax|.*Attention.*",
    "quantization": r"aten::.*quantize.*|aten::.*qparams.*|.*QuantizeLinear|FakeQuantize",
    "normalization": r"aten::.*layer_norm|.*LayerNormalization|MVN",
    "activation": r"aten::gelu|.*Gelu|Erf",
    "convolution": r"aten::.*conv.*|prepacked::conv.*|.*Conv|Convolution",
    "copies and layout": r"aten::(copy_|clone|contiguous|_?to|_to_copy|cat|stack|permute|transpose|t|_?reshape.*"
    r"|_?unsafe_view|view|as_strided|slice|select|expand|expand_as|flatten|unbind|chunk|split.*|squeeze.*|unsqueeze"
    r"|narrow|alias|detach|lift_fresh|empty.*|resize_.*|fill_|zero_|zeros)|Transpose|Reshape|Concat|Slice|Split|Gather"
    r"|Squeeze|Unsqueeze|Expand|Flatten|Cast|Identity|Shape|Reorder.*|VariadicSplit|Broadcast|ShapeOf",
    "arithmetic": r"aten::(add|add_|mul|mul_|div|div_|sub|mean|sum|pow|sqrt|tanh|sigmoid).*|Add|Mul|Div|Sub|Pow|Sqrt"
    r"|Reduce.*|Tanh|.*FusedElementwise|Multiply|MulAdd|PowerStatic",
    "interpreter": r"[^:]*forward.*|<.*>|profiler::.*|.*Interpreter.*",
}


def group_of(operator: str) -> str:
    """The kind of work that an operator of any runtime does."""
    return next((group for group, pattern in GROUPS.items() if re.fullmatch(pattern, operator)), OTHER)


def by_torch(load: Callable[[Path], Run]) -> Observe:
    """Times the files that ``load`` reads with torch's profiler; the sum is the self CPU time of the tutorial."""

    def observe(path: Path, pictures: torch.Tensor, trace: Path | None) -> tuple[OperatorTime, ...]:
        from torch.autograd.profiler import profile

        # The profiler looks for a GPU that the wheel could use, and logs an error where there is none.
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
        return typical(map(table, calls))

    return observe


def typical(seen: Iterable[Iterable[OperatorTime]]) -> tuple[OperatorTime, ...]:
    """The median of each operator over several tables, so that a disturbance of one call does not count."""
    tables = [{row.name: row for row in table} for table in seen]
    rows = []
    for name in dict.fromkeys(name for table in tables for name in table):
        found = [table.get(name, OperatorTime(name, group_of(name), 0.0, 0.0)) for table in tables]
        spent, calls = (median(values) for values in zip(*((row.self_ms, row.calls) for row in found), strict=True))
        if calls:
            rows.append(OperatorTime(name, group_of(name), spent, calls))
    return tuple(sorted(rows, key=lambda row: row.self_ms, reverse=True))


def table(timings: Timings) -> list[OperatorTime]:
    """The operators of one inference: the calls of each one added up."""
    microseconds: dict[str, float] = defaultdict(float)
    counts: dict[str, float] = defaultdict(float)
    for name, spent, count in timings:
        microseconds[name] += spent
        counts[name] += count
    return [OperatorTime(name, group_of(name), spent / 1000, counts[name]) for name, spent in microseconds.items()]
