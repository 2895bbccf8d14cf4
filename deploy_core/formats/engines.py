"""torch's quantized engine, a switch of the whole process: only this module changes it, and under a lock.

The engine of the build and the engine of the run are two choices (docs/decisions/0002-engines.md). torch packs the
weights for the run engine when it loads a file, so the switch matters only while converting and while loading.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deploy_core.errors import FormatUnavailable, InvalidRequest

BUILD_ENGINES = ("qnnpack", "x86")
RUN_ENGINES_BY_SPEED = ("onednn", "x86", "qnnpack")

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
    """The fastest engine of this torch for running quantized files. Raises FormatUnavailable where it has none."""
    for engine in RUN_ENGINES_BY_SPEED:
        if engine in supported():
            return engine
    raise FormatUnavailable("This torch has no quantized engine.", "Install the torch that requirements.txt names.")


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
