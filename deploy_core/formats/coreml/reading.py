"""Reads a Core ML program back: its operators, its weights against the original's, and an interpreter.

Core ML runs on Apple's systems only. coremltools can read a program anywhere, and most of its operators know how to
evaluate themselves in NumPy, for folding constants. The interpreter calls them one by one.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deploy_core.errors import InvalidArtifact
from deploy_core.formats.coreml import package
from deploy_core.formats.coreml.package import Package
from deploy_core.formats.coreml.tools import coremltools
from deploy_core.formats.findings import reading
from deploy_core.formats.format import Reading
from deploy_core.types import WeightCheck

if TYPE_CHECKING:
    import torch

NOT_RUN = (
    "Core ML itself did not run, and neither did its GPU or Neural Engine: the operators computed their answers one by "
    "one as coremltools defines them, each rounded to float16, and PyTorch computed the convolution of the patches."
)
CONSTANT, DEQUANTIZED = "const", "constexpr_affine_dequantize"
# What torch.export and coremltools put around the name of a tensor.
AROUND = re.compile(r"(?:[pbc]_)?(.+?)(?:_to_fp16)?(?:_quantized)?")
# Of float16, as a share of a number; and its smallest number, which coremltools takes for what would become 0.
HALF_STEP = np.float32(2.0**-11)
SMALLEST = np.float32(2.0**-24)
LARGEST_INT8 = 127


def read_back(path: Path, module: torch.nn.Module) -> Reading:
    """A zipped ``.mlpackage`` against the model that it was built from. Raises InvalidArtifact."""
    with reading(path, "Core ML package"):
        made = package.read(path)
    return read_package(made, path.name, module)


def read_package(made: Package, name: str, module: torch.nn.Module) -> Reading:
    """As ``read_back``; ``name`` is the file's, for people."""
    function = program(made, name)
    operators = Counter(one.op_type for one in function.operations if not one.op_type.startswith(CONSTANT))
    return Reading(dict(operators.most_common()), _weights(function, module), Interpreter(name, function), NOT_RUN)


def program(made: Package, name: str) -> Any:
    """The package's function ``main``, with its weights. Raises InvalidArtifact."""
    with coremltools() as ct, tempfile.TemporaryDirectory() as place, reading(Path(name), "Core ML package"):
        from coremltools.converters.mil.frontend.milproto.load import load

        spec = ct.proto.Model_pb2.Model.FromString(made.model)
        (Path(place) / "weight.bin").write_bytes(made.weights)
        return load(spec, spec.specificationVersion, place).functions["main"]


@dataclass(frozen=True, eq=False)
class Interpreter:
    """Computes a program operator by operator, in float32, and rounds each result to the type that it has there."""

    name: str
    function: Any

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits, float32 (1, classes), of one picture, float32 (1, 3, S, S). Raises InvalidArtifact."""
        import torch

        (source,) = self.function.inputs.values()
        # The caller checks that the logits are finite.
        with coremltools(), np.errstate(all="ignore"):
            _set(source, pictures.numpy())
            for one in self.function.operations:
                results = self._results(one)
                for variable, result in zip(one.outputs, results, strict=True):
                    _set(variable, result)
        (answer,) = self.function.outputs
        return torch.from_numpy(np.array(answer.val, dtype=np.float32))

    def _results(self, one: Any) -> tuple[Any, ...]:
        if one.op_type == CONSTANT:
            return (one.outputs[0].val,)
        try:
            result = EVALUATED_HERE.get(one.op_type, _own)(one)
        except NotImplementedError:
            result = None
        if result is None:
            raise InvalidArtifact(
                f"{self.name} holds the operator {one.op_type}, which coremltools cannot evaluate, so it was not "
                "checked.",
                "Build another format.",
            )
        return tuple(result) if isinstance(result, list | tuple) else (result,)


def _own(one: Any) -> Any:
    return one.value_inference()


def _convolution(one: Any) -> NDArray[np.float32]:
    import torch

    if one.pad_type.val != "valid" or any(one.dilations.val != 1):
        raise NotImplementedError
    pixels, weight, bias = (torch.from_numpy(np.array(value.val)) for value in (one.x, one.weight, one.bias))
    strides, groups = one.strides.val.tolist(), int(one.groups.val)
    result: NDArray[np.float32] = torch.conv2d(pixels, weight, bias, strides, groups=groups).numpy()
    return result


EVALUATED_HERE: dict[str, Callable[[Any], Any]] = {
    "conv": _convolution,
    DEQUANTIZED: lambda one: one.materialized_val_inference(),
}


def _set(variable: Any, value: Any) -> None:
    """Gives a variable of the program its value; what is float16 there is rounded, and held as float32."""
    from coremltools.converters.mil.mil import types

    if variable.dtype == types.fp16:
        value = np.asarray(value).astype(np.float16).astype(np.float32)
    elif variable.dtype == types.fp32:
        value = np.asarray(value, dtype=np.float32)
    variable._sym_val = SimpleNamespace(val=value)


def _weights(function: Any, module: torch.nn.Module) -> WeightCheck:
    """Compares every tensor of the model with what the file holds under its name.

    coremltools keeps equal tensors once, so a tensor without its name may be any that fits.
    """
    held = {_bare(one.outputs[0].name): part for one in function.operations if (part := _held(one))}
    wanted = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    elsewhere: list[str] = []
    largest, compared = 0.0, 0
    for name, tensor in wanted.items():
        tried = [held[key]] if (key := name.replace(".", "_")) in held else held.values()
        shares = [part.error(tensor) for part in tried if part.values.size == tensor.size]
        if not shares or (key not in held and min(shares) > 1):
            elsewhere.append(name)
            continue
        largest, compared = max(largest, min(shares)), compared + tensor.size
    return WeightCheck(
        tensors=len(wanted) - len(elsewhere), values=compared, folded=tuple(elsewhere), largest_error=largest
    )


@dataclass(frozen=True)
class _Held:
    """A tensor in a file; ``step`` is the distance of two int8 values, 0 for float16."""

    values: NDArray[np.float16]
    step: NDArray[np.float32]

    def error(self, tensor: NDArray[np.float32]) -> float:
        """The largest distance from the original, as a share of what rounding explains."""
        values = self.values.astype(np.float32)
        tensor = tensor.reshape(values.shape)
        rounding = np.maximum(np.abs(tensor) * HALF_STEP, SMALLEST)
        # Int8 rounds a weight that is float16 already, its scale is float16, and so is their product.
        quantizing = self.step * (np.float32(0.5) + LARGEST_INT8 * HALF_STEP)
        allowed = rounding + quantizing + (rounding if self.step.any() else 0)
        return float((np.abs(tensor - values) / allowed).max(initial=0.0))


def _held(one: Any) -> _Held | None:
    if one.op_type == DEQUANTIZED:
        values = one.materialized_val_inference()
        scale = np.asarray(one.scale.val, dtype=np.float32)
        shape = [1] * values.ndim
        shape[int(one.axis.val)] = scale.size
        return _Held(values, scale.reshape(shape) if scale.ndim else scale)
    value = one.outputs[0].val if one.op_type == CONSTANT else None
    if isinstance(value, np.ndarray) and value.dtype == np.float16:
        return _Held(value, np.zeros((), dtype=np.float32))
    return None


def _bare(name: str) -> str:
    found = AROUND.fullmatch(name)
    return found[1] if found else name
