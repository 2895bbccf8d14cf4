"""The tutorial's four files: scripted, quantized, optimized for mobile, and for the lite interpreter."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidArtifact, StorageFailed
from deploy_core.formats import engines
from deploy_core.formats.format import Format, Run, Workbench


@contextmanager
def _deprecations_known() -> Iterator[None]:
    # TorchScript, eager quantization and the lite interpreter are deprecated in favour of torch.export, torchao and
    # ExecuTorch; torch is pinned because of them, and docs/decisions/ says so once for all.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def _script(bench: Workbench, path: Path) -> None:
    import torch

    bench.results["scripted"] = scripted = torch.jit.script(bench.model.module)
    scripted.save(str(path))


def _quantize(bench: Workbench, path: Path) -> None:
    import torch

    quantized = torch.ao.quantization.quantize_dynamic(bench.model.module, {torch.nn.Linear}, dtype=torch.qint8)
    bench.results["quantized"] = scripted = torch.jit.script(quantized)
    scripted.save(str(path))


def _optimize(bench: Workbench, path: Path) -> None:
    from torch._C import _MobileOptimizerType as MobilePass
    from torch.utils.mobile_optimizer import optimize_for_mobile

    # The prepacked patch convolution returns channels-last, and every later operator of DeiT pays for it.
    slow: Any = MobilePass.INSERT_FOLD_PREPACK_OPS  # type: ignore[attr-defined]
    blocked = {slow} if bench.optimize == "default" else set()
    bench.results["optimized"] = optimized = optimize_for_mobile(bench.results["quantized"], blocked)
    optimized.save(str(path))


def _save_lite(bench: Workbench, path: Path) -> None:
    bench.results["optimized"]._save_for_lite_interpreter(str(path))


def _build_under_engine(convert: Callable[[Workbench, Path], None]) -> Callable[[Workbench, Path], None]:
    def build(bench: Workbench, path: Path) -> None:
        with _deprecations_known(), engines.using(bench.engine):
            try:
                convert(bench, path)
            except RuntimeError as error:
                if "PytorchStreamWriter" not in str(error):
                    raise
                raise StorageFailed(f"{path.parent} took no more data.", "Free some space and try again.") from error

    return build


def _load_with(reader: Callable[[str], Any]) -> Callable[[Path], Run]:
    def load(path: Path) -> Run:
        with _deprecations_known(), engines.using(engines.run_engine()):
            try:
                run: Run = reader(str(path))
            except (RuntimeError, ValueError) as error:
                raise InvalidArtifact(f"{path.name} is damaged or no TorchScript file.", "Build it again.") from error
        return run

    return load


def _read_script(path: str) -> Any:
    import torch

    return torch.jit.load(path, map_location="cpu")


def _read_lite(path: str) -> Any:
    from torch.jit.mobile import _load_for_lite_interpreter

    return _load_for_lite_interpreter(path)


def _always() -> None:
    return None


def _quantization_reason() -> str | None:
    if engines.for_building():
        return None
    return "This torch was built without a quantized engine. Install the torch that requirements.txt names."


def _optimize_reason() -> str | None:
    from torch.backends import xnnpack

    if xnnpack.enabled:  # type: ignore[attr-defined]
        return _quantization_reason()
    return "This torch was built without XNNPACK. Install the torch that requirements.txt names."


FORMATS = (
    Format(
        key="scripted",
        title="Scripted",
        suffix="_scripted.pt",
        summary="TorchScript: the model as a program that runs without Python. Same size, same answers.",
        needs=None,
        is_quantized=False,
        probe=_always,
        build=_build_under_engine(_script),
        load=_load_with(_read_script),
    ),
    Format(
        key="quantized",
        title="Scripted and quantized",
        suffix="_scripted_quantized.pt",
        summary="Dynamic int8: the weights of every Linear layer take one byte instead of four.",
        needs=None,
        is_quantized=True,
        probe=_quantization_reason,
        build=_build_under_engine(_quantize),
        load=_load_with(_read_script),
    ),
    Format(
        key="optimized",
        title="Optimized for mobile",
        suffix="_optimized_scripted_quantized.pt",
        summary="The quantized program with its graph folded and fused for phones.",
        needs="quantized",
        is_quantized=True,
        probe=_optimize_reason,
        build=_build_under_engine(_optimize),
        load=_load_with(_read_script),
    ),
    Format(
        key="lite",
        title="Lite interpreter",
        suffix="_optimized_scripted_quantized_lite.ptl",
        summary="The optimized program as bytecode for the small interpreter inside an iOS or Android app.",
        needs="optimized",
        is_quantized=True,
        probe=_optimize_reason,
        build=_build_under_engine(_save_lite),
        load=_load_with(_read_lite),
    ),
)
