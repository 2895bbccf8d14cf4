"""ONNX files, read back, run and timed inside by ONNX Runtime on this machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidArtifact
from deploy_core.formats import engines
from deploy_core.formats.operators import CALLS, WARMUP, Run, Timings, table, typical
from deploy_core.types import OperatorTime

if TYPE_CHECKING:
    import torch

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
            # ONNX Runtime has a dozen exceptions without a common base. torch's own files raise RuntimeError.
            raise RuntimeError(f"ONNX Runtime: {error}") from error
        return torch.from_numpy(logits)


def load(path: Path) -> Run:
    """An ``.onnx`` file. Raises InvalidArtifact."""
    import onnxruntime

    try:
        return _Session(onnxruntime.InferenceSession(str(path), session_options(), providers=["CPUExecutionProvider"]))
    except Exception as error:  # a dozen kinds, as above
        raise InvalidArtifact(f"{path.name} is damaged or no ONNX file.", "Build it again.") from error


def session_options() -> Any:
    """ONNX Runtime's options on this machine: as many threads as torch, which sleep between calls, and exact int8."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for the next call by spinning slow down all else that is measured on this machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Slower, and exact: docs/decisions/0009-proof.md.
    if engines.overflows():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def observe(path: Path, pictures: torch.Tensor, trace: Path | None) -> tuple[OperatorTime, ...]:
    """The operators of a file, by ONNX Runtime's own profiler."""
    import onnxruntime

    options = session_options()
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
    return typical(map(table, _kernels(json.loads(text))))


def _kernels(events: list[dict[str, Any]]) -> Iterator[Timings]:
    """For each of the last ``CALLS`` calls: the operator of each kernel, its microseconds, and 1."""
    for run in [event for event in events if event["name"] == "model_run"][-CALLS:]:
        yield [
            (event["args"]["op_name"], event["dur"], 1)
            for event in events
            if event.get("cat") == "Node"
            and event["name"].endswith("_kernel_time")
            and run["ts"] <= event["ts"] <= run["ts"] + run["dur"]
        ]
