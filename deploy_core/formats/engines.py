"""The quantized engine: a process-wide switch of torch, turned in this one place and under a lock.

Engine at build time and engine at run time are two choices (docs/architecture.md): weights are packed for
the run engine when a file is loaded, so the switch matters around conversion and around loading only.
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
    """The engines to build under that this torch supports, the one for phones first."""
    return [engine for engine in BUILD_ENGINES if engine in supported()]


def require_build_engine(engine: str) -> None:
    """Raises InvalidRequest for an engine that is no choice, or that this torch does not support."""
    if engine not in for_building():
        raise InvalidRequest(
            f"The quantized engine '{engine}' is not available here.",
            f"Choose one of: {', '.join(for_building()) or 'none'}.",
        )


def run_engine() -> str:
    """The fastest engine of this machine to run quantized files with."""
    for engine in RUN_ENGINES_BY_SPEED:
        if engine in supported():
            return engine
    raise FormatUnavailable("This torch has no quantized engine.", "Install the torch that requirements.txt names.")


@contextmanager
def using(engine: str) -> Iterator[None]:
    """Turns torch's switch to ``engine`` for the length of a block, for one thread at a time."""
    import torch

    with _switch:
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = engine
        try:
            yield
        finally:
            torch.backends.quantized.engine = before
