"""The tutorial's four files: scripted, quantized, optimized for mobile, and for the lite interpreter."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidArtifact, StorageFailed
from deploy_core.formats import effects, engines, findings, operators
from deploy_core.formats.format import Format, Workbench
from deploy_core.formats.operators import Run
from deploy_core.types import Runtime


@contextmanager
def _deprecations_known() -> Iterator[None]:
    # TorchScript, eager quantization and the lite interpreter are deprecated in favour of torch.export, torchao and
    # ExecuTorch; torch is pinned because of them, and docs/decisions/ says so once for all.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def _script(bench: Workbench) -> Any:
    import torch

    return torch.jit.script(bench.model.module)


def _quantize(bench: Workbench) -> Any:
    import torch

    quantized = torch.ao.quantization.quantize_dynamic(bench.model.module, {torch.nn.Linear}, dtype=torch.qint8)
    return torch.jit.script(quantized)


def _optimize(bench: Workbench) -> Any:
    from torch._C import _MobileOptimizerType as MobilePass
    from torch.utils.mobile_optimizer import optimize_for_mobile

    # The prepacked patch convolution returns channels-last, and every later operator of DeiT pays for it.
    slow: Any = MobilePass.INSERT_FOLD_PREPACK_OPS  # type: ignore[attr-defined]
    blocked = {slow} if bench.optimize == "default" else set()
    return optimize_for_mobile(bench.results["quantized"], blocked)


def _already_optimized(bench: Workbench) -> Any:
    return bench.results["optimized"]


def _under_build_engine(convert: Callable[[Workbench], Any]) -> Callable[[Workbench], Any]:
    def converted(bench: Workbench) -> Any:
        with _deprecations_known(), engines.using(bench.engine):
            return convert(bench)

    return converted


def _save_with(method: str) -> Callable[[Workbench, Any, Path], None]:
    def save(bench: Workbench, module: Any, path: Path) -> None:
        with _deprecations_known(), engines.using(bench.engine):
            try:
                getattr(module, method)(str(path))
            except RuntimeError as error:
                if "PytorchStreamWriter" not in str(error):
                    raise
                raise StorageFailed(f"{path.parent} took no more data.", "Free some space and try again.") from error

    return save


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


PACKAGES = {"torch": "2.12.1", "timm": "1.0.31"}
FULL_RUNTIME = Runtime(
    name="PyTorch Mobile",
    platforms="Android; LibTorch and torch on servers",
    version="2.1.0",
    install="org.pytorch:pytorch_android:2.1.0",
)
LITE_RUNTIME = Runtime(
    name="PyTorch lite interpreter",
    platforms="Android, iOS",
    version="2.1.0",
    install="org.pytorch:pytorch_android_lite:2.1.0, pod LibTorch-Lite 2.1.0",
)

FORMATS = (
    Format(
        key="scripted",
        title="Scripted",
        suffix="_scripted.pt",
        summary="TorchScript: the model as a program that runs without Python. Same size, same answers.",
        needs=None,
        options=(),
        packages=PACKAGES,
        is_int8=False,
        takes_batches=True,
        effort=1,
        library_bytes=0,
        copies=2.3,
        least_cosine=0.9999,
        probe=_always,
        run_engine=lambda: "torch",
        convert=_under_build_engine(_script),
        save=_save_with("save"),
        load=_load_with(_read_script),
        runtimes=(FULL_RUNTIME,),
        inspect=findings.inspect_torchscript,
        app_code="torchscript",
        runs_in_torch=True,
        observe=operators.by_torch(_load_with(_read_script)),
        effect=effects.scripted,
    ),
    Format(
        key="quantized",
        title="Scripted and quantized",
        suffix="_scripted_quantized.pt",
        summary="Dynamic int8: the weights of every Linear layer take one byte instead of four.",
        needs=None,
        options=("engine",),
        packages=PACKAGES,
        is_int8=True,
        takes_batches=True,
        effort=1.5,
        library_bytes=0,
        copies=2.3,
        least_cosine=0.99,
        probe=_quantization_reason,
        run_engine=engines.run_engine,
        convert=_under_build_engine(_quantize),
        save=_save_with("save"),
        load=_load_with(_read_script),
        runtimes=(FULL_RUNTIME,),
        inspect=findings.inspect_torchscript,
        app_code="torchscript",
        runs_in_torch=True,
        observe=operators.by_torch(_load_with(_read_script)),
        effect=effects.quantized,
    ),
    Format(
        key="optimized",
        title="Optimized for mobile",
        suffix="_optimized_scripted_quantized.pt",
        summary="The quantized program with its graph folded and fused for phones.",
        needs="quantized",
        options=("engine", "optimize"),
        packages=PACKAGES,
        is_int8=True,
        takes_batches=True,
        effort=1,
        library_bytes=0,
        copies=2.3,
        least_cosine=0.99,
        probe=_optimize_reason,
        run_engine=engines.run_engine,
        convert=_under_build_engine(_optimize),
        save=_save_with("save"),
        load=_load_with(_read_script),
        runtimes=(FULL_RUNTIME,),
        inspect=findings.inspect_torchscript,
        app_code="torchscript",
        runs_in_torch=True,
        observe=operators.by_torch(_load_with(_read_script)),
        effect=effects.optimized,
    ),
    Format(
        key="lite",
        title="Lite interpreter",
        suffix="_optimized_scripted_quantized_lite.ptl",
        summary="The optimized program as bytecode for the small interpreter inside an iOS or Android app.",
        needs="optimized",
        options=("engine", "optimize"),
        packages=PACKAGES,
        is_int8=True,
        takes_batches=True,
        effort=0.5,
        library_bytes=0,
        copies=2.3,
        least_cosine=0.99,
        probe=_optimize_reason,
        run_engine=engines.run_engine,
        convert=_already_optimized,
        save=_save_with("_save_for_lite_interpreter"),
        load=_load_with(_read_lite),
        runtimes=(LITE_RUNTIME,),
        inspect=findings.inspect_lite,
        app_code="lite",
        runs_in_torch=True,
        observe=operators.by_torch(_load_with(_read_lite)),
        effect=effects.lite,
    ),
)
