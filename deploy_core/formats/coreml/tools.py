"""coremltools, Apple's converter, without its progress bars and its warnings about versions."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from deploy_core.formats.exporting import quiet

# coremltools warns that it was not tested with this torch, and on Linux that it cannot run a model. ExecuTorch's
# backend warns of the version that this project asks for, and notes each operator that it skips.
LOGS = (
    "coremltools",
    "executorch.backends.apple.coreml.compiler.coreml_preprocess",
    "executorch.backends.apple.coreml.partition.coreml_partitioner",
)


@contextmanager
def coremltools() -> Iterator[Any]:
    """The package, silent inside the block."""
    logs = [logging.getLogger(name) for name in LOGS]
    were_disabled = [log.disabled for log in logs]
    for log in logs:
        log.disabled = True
    try:
        with quiet():
            # It leaves the folder of its weights to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            import coremltools

            _without_bars()
            yield coremltools
    finally:
        for log, was_disabled in zip(logs, were_disabled, strict=True):
            log.disabled = was_disabled


def _without_bars() -> None:
    from coremltools.converters.mil.frontend.torch import ops
    from coremltools.converters.mil.mil.passes import pass_pipeline
    from coremltools.optimize.coreml import _quantization_passes

    ops._tqdm = pass_pipeline.tqdm = _quantization_passes.tqdm = _plain


def _plain(steps: Iterable[Any], **_: Any) -> Iterable[Any]:
    return steps
