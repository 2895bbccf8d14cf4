"""OpenVINO files, read back, run and timed inside on this machine's processor."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.formats.findings import reading
from deploy_core.formats.openvino import archive
from deploy_core.formats.operators import CALLS, WARMUP, Run, Timings, table, typical
from deploy_core.types import OperatorTime

if TYPE_CHECKING:
    import torch

INPUT, OUTPUT = "input", "logits"
DEVICE = "CPU"
FILE = "OpenVINO file"


@dataclass(frozen=True)
class _Session:
    """A loaded file. One request answers one question at a time."""

    request: Any
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        import torch

        with self.turn:
            (logits,) = self.request.infer({INPUT: pictures.numpy()}).values()
            return torch.from_numpy(logits.copy())


def load(path: Path) -> Run:
    """A zip with an OpenVINO graph. Raises InvalidArtifact."""
    return _Session(_compiled(path, {}).create_infer_request())


def observe(path: Path, pictures: torch.Tensor, trace: Path | None) -> tuple[OperatorTime, ...]:
    """The operators of a file, by OpenVINO's own profiler."""
    request = _compiled(path, {"PERF_COUNT": True}).create_infer_request()
    calls: list[Timings] = []
    for _ in range(WARMUP + CALLS):
        request.infer({INPUT: pictures.numpy()})
        calls.append(
            [
                (one.node_type, one.real_time.total_seconds() * 1e6, 1)
                for one in request.profiling_info
                if one.status == one.Status.EXECUTED
            ]
        )
    if trace:
        trace.write_text(json.dumps(_trace(calls[-1])))
    return typical(map(table, calls[-CALLS:]))


def _compiled(path: Path, options: dict[str, Any]) -> Any:
    import openvino
    import torch

    with reading(path, FILE):
        core = openvino.Core()
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads(), **options}
        return core.compile_model(core.read_model(*archive.unpacked(path)), DEVICE, settings)


def _trace(timings: Timings) -> dict[str, Any]:
    """The operators of one call in the format of Chrome's trace viewer, one after another."""
    events: list[dict[str, Any]] = []
    start = 0.0
    for name, spent, _ in timings:
        events.append({"name": name, "ph": "X", "ts": start, "dur": spent, "pid": 1, "tid": 1})
        start += spent
    return {"traceEvents": events}
