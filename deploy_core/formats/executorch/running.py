"""ExecuTorch programs, read back and run by ExecuTorch on this machine."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats.operators import Run

if TYPE_CHECKING:
    import torch


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


def load(path: Path) -> Run:
    """A ``.pte`` file. Raises InvalidArtifact."""
    # Beside torch, the runtime needs only this module of executorch; ``executorch.runtime`` also imports the exporter,
    # which takes 3 seconds.
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
