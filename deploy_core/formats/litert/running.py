"""LiteRT files, read back and run by LiteRT on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats.operators import Run
from deploy_core.types import Delegation

if TYPE_CHECKING:
    import torch

# What stands in the graph for the operators that XNNPACK took over.
DELEGATE = "DELEGATE"


@dataclass(frozen=True, eq=False)
class _Model:
    """A loaded file. LiteRT keeps input and output in the interpreter, so calls go one at a time."""

    name: str
    interpreter: Any
    source: int
    answer: int
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        import torch

        if len(pictures) != 1:
            raise InvalidRequest(
                f"{self.name} is a LiteRT file for one picture at a time, not for {len(pictures)}.",
                "Ask it picture by picture.",
            )
        with self.turn:
            try:
                self.interpreter.set_tensor(self.source, pictures.numpy())
                self.interpreter.invoke()
            except ValueError as error:
                # torch's own files raise RuntimeError.
                raise RuntimeError(f"LiteRT: {error}") from error
            return torch.from_numpy(self.interpreter.get_tensor(self.answer))


def load(path: Path) -> Run:
    """A ``.tflite`` file. Raises InvalidArtifact."""
    import torch

    interpreter = _opened(path, torch.get_num_threads())
    (source,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    return _Model(path.name, interpreter, source["index"], answer["index"])


def delegation(path: Path) -> Delegation:
    """What XNNPACK computes of a file on this machine. Raises InvalidArtifact."""
    interpreter = _opened(path, 1)
    operators = interpreter._get_ops_details()
    answers = [one["index"] for one in interpreter.get_output_details()]
    left = _undelegated(operators, answers)
    count = sum(one["op_name"] != DELEGATE for one in operators)
    return Delegation(percent=100 * (count - len(left)) / count, undelegated=tuple(sorted(left)))


def _undelegated(operators: Iterable[dict[str, Any]], answers: Iterable[int]) -> list[str]:
    """The operators that still run outside XNNPACK: those that the answers need, where no delegate gives the tensor."""
    makers: dict[int, dict[str, Any]] = {}
    for one in sorted(operators, key=lambda one: one["op_name"] == DELEGATE):
        makers.update(dict.fromkeys(map(int, one["outputs"]), one))
    left: dict[int, str] = {}
    seen: set[int] = set()
    wanted = list(answers)
    while wanted:
        tensor = wanted.pop()
        if tensor in seen or (maker := makers.get(tensor)) is None:
            continue
        seen.add(tensor)
        wanted.extend(map(int, maker["inputs"]))
        if maker["op_name"] != DELEGATE:
            left[maker["index"]] = maker["op_name"]
    return list(left.values())


def _opened(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InvalidArtifact(f"{path.name} is damaged or no LiteRT file.", "Build it again.") from error
    return interpreter
