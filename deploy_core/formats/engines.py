"""torch's quantized engine, a switch of the whole process: only this module changes it, and under a lock.

The engine of the build and the engine of the run are two choices (docs/decisions/0002-engines.md). torch packs the
weights for the run engine when it loads a file, so the switch matters only while converting and while loading.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deploy_core.errors import FormatUnavailable, InvalidRequest

PHONE_ENGINE = "qnnpack"
BUILD_ENGINES = (PHONE_ENGINE, "x86")
RUN_ENGINES_BY_SPEED = ("onednn", "x86", PHONE_ENGINE)
VNNI = ("avx512_vnni", "avx_vnni")

_switch = threading.RLock()


def supported() -> tuple[str, ...]:
    """The quantized engines that this torch reports."""
    import torch

    return tuple(torch.backends.quantized.supported_engines)


def for_building() -> list[str]:
    """The engines that this torch can build for, the one for phones first."""
    return [engine for engine in BUILD_ENGINES if engine in supported()]


def require_build_engine(engine: str) -> None:
    """Raises InvalidRequest unless this torch can build for ``engine``."""
    if engine not in for_building():
        raise InvalidRequest(
            f"The quantized engine '{engine}' is not available here.",
            f"Choose one of: {', '.join(for_building()) or 'none'}.",
        )


def run_engine() -> str:
    """The fastest engine of this torch that runs quantized files exactly here. Raises FormatUnavailable for none."""
    for engine in [PHONE_ENGINE] if overflows() else RUN_ENGINES_BY_SPEED:
        if engine in supported():
            return engine
    raise FormatUnavailable("This torch has no quantized engine.", "Install the torch that requirements.txt names.")


def overflows() -> bool:
    """Whether this processor adds up int8 products in 16 bits: x86 with AVX2 or AVX-512, and without VNNI."""
    import torch

    has = torch.cpu.get_capabilities()
    return bool(has.get("avx2")) and not any(has.get(name) for name in VNNI)


@contextmanager
def using(engine: str) -> Iterator[None]:
    """Sets torch's engine inside a block and restores it afterwards; other threads wait."""
    import torch

    with _switch:
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = engine
        try:
            yield
        finally:
            torch.backends.quantized.engine = before
