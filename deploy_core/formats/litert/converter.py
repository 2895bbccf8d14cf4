"""The conversion to LiteRT, in a process of its own: ``python -m deploy_core.formats.litert.converter VERB FROM TO``.

The converter brings jax and MLIR, which take a gigabyte of memory. Here they give it back, and cannot end the worker.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

# The exit status of a conversion that ran out of memory; 1 is that of any other error.
OUT_OF_MEMORY = 3
# Where memory runs out, the kernel ends this process first.
FIRST_TO_END = "1000"


def convert(source: Path, target: Path) -> None:
    """From an exported program of torch, ``.pt2``, to a float32 ``.tflite``."""
    import litert_torch
    import torch

    program = torch.export.load(source)
    example, _ = program.example_inputs
    litert_torch.convert(program.module(check_guards=False), example).export(str(target))


def quantize(source: Path, target: Path) -> None:
    """From a float32 ``.tflite`` to one with int8 Linear layers, a scale for each output channel.

    Activations are quantized while it runs. The patch convolution stays float32, as in the other int8 files: it holds a
    hundredth of the weights, and int8 there moved the logits a third further.
    """
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    quantizer = Quantizer(str(source))
    quantizer.add_dynamic_config(regex=".*", operation_name=TFLOperationName.FULLY_CONNECTED, num_bits=8)
    target.write_bytes(quantizer.quantize().quantized_model)


VERBS: dict[str, Callable[[Path, Path], None]] = {"convert": convert, "quantize": quantize}


def main() -> int:
    verb, source, target = sys.argv[1:]
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_END)
    try:
        VERBS[verb](Path(source), Path(target))
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main())
