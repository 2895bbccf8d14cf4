"""From the model to a TorchScript file: the tutorial's four steps, each under the engine of the build."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy_core.errors import StorageFailed
from deploy_core.formats import engines
from deploy_core.formats.format import Workbench
from deploy_core.formats.torchscript import smoothing
from deploy_core.formats.torchscript.running import deprecations_ignored

Convert = Callable[[Workbench], Any]


def _under_build_engine(convert: Convert) -> Convert:
    def converted(bench: Workbench) -> Any:
        with deprecations_ignored(), engines.using(bench.engine):
            return convert(bench)

    return converted


@_under_build_engine
def script(bench: Workbench) -> Any:
    import torch

    return torch.jit.script(bench.model.module)


@_under_build_engine
def quantize(bench: Workbench) -> Any:
    """The tutorial's dynamic int8, or a more exact one (docs/decisions/0009-proof.md)."""
    import torch
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    if bench.optimize == "tutorial":
        return torch.jit.script(quantize_dynamic(bench.model.module, {torch.nn.Linear}, dtype=torch.qint8))
    smoothed = copy.deepcopy(bench.model.module)
    smoothing.smooth(smoothed)
    quantized = quantize_dynamic(
        smoothed, {torch.nn.Linear: per_channel_dynamic_qconfig}, mapping=_layers(bench.engine), inplace=True
    )
    return torch.jit.script(quantized)


def _layers(engine: str) -> dict[Any, Any]:
    """What replaces float layers. Files for servers keep the reduced range, because some x86 processors need it."""
    import torch
    from torch.ao.quantization.quantization_mappings import get_default_dynamic_quant_module_mappings

    layers: dict[Any, Any] = dict(get_default_dynamic_quant_module_mappings())
    if engine != "x86":
        from deploy_core.formats.torchscript.full_range import FullRangeLinear

        layers[torch.nn.Linear] = FullRangeLinear
    return layers


@_under_build_engine
def optimize(bench: Workbench) -> Any:
    from torch._C import _MobileOptimizerType as MobilePass
    from torch.utils.mobile_optimizer import optimize_for_mobile

    # The prepacked patch convolution returns channels-last, which slows down every later operator of DeiT.
    slow: Any = MobilePass.INSERT_FOLD_PREPACK_OPS  # type: ignore[attr-defined]
    blocked = {slow} if bench.optimize == "default" else set()
    return optimize_for_mobile(bench.results["quantized"], blocked)


def already_optimized(bench: Workbench) -> Any:
    """The lite file differs from the optimized one only in how it is saved."""
    return bench.results["optimized"]


def save_script(bench: Workbench, module: Any, path: Path) -> None:
    _save(bench, module.save, path)


def save_lite(bench: Workbench, module: Any, path: Path) -> None:
    _save(bench, module._save_for_lite_interpreter, path)


def _save(bench: Workbench, write: Callable[[str], object], path: Path) -> None:
    with deprecations_ignored(), engines.using(bench.engine):
        try:
            write(str(path))
        except RuntimeError as error:
            if "PytorchStreamWriter" not in str(error):
                raise
            raise StorageFailed(f"{path.parent} took no more data.", "Free some space and try again.") from error


def quantization_reason() -> str | None:
    """None, or why int8 files cannot be built here."""
    if engines.for_building():
        return None
    return "This torch was built without a quantized engine. Install the torch that requirements.txt names."


def optimize_reason() -> str | None:
    """None, or why files cannot be optimized for mobile here."""
    from torch.backends import xnnpack

    if xnnpack.enabled:  # type: ignore[attr-defined]
        return quantization_reason()
    return "This torch was built without XNNPACK. Install the torch that requirements.txt names."
