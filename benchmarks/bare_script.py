"""The tutorial's calls and nothing else, in a warm process. ``benchmarks.build`` compares the worker with it.

python -m benchmarks.bare_script MODEL FOLDER

The script builds DeiT-Tiny once to warm up. Then it builds MODEL for every line on standard input, and prints the
seconds that each build took.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import timm
import torch
from torch._C import _MobileOptimizerType as MobilePass
from torch.utils.mobile_optimizer import optimize_for_mobile


def build(model: torch.nn.Module, folder: Path) -> None:
    slow = MobilePass.INSERT_FOLD_PREPACK_OPS  # type: ignore[attr-defined]
    torch.jit.script(model).save(folder / "scripted.pt")
    torch.backends.quantized.engine = "qnnpack"
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    scripted = torch.jit.script(quantized)
    scripted.save(folder / "quantized.pt")
    optimized = optimize_for_mobile(scripted, {slow})
    optimized.save(str(folder / "optimized.pt"))
    optimized._save_for_lite_interpreter(str(folder / "lite.ptl"))


def main(name: str, place: Path) -> None:
    model = timm.create_model(name, pretrained=False).eval()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        build(timm.create_model("deit_tiny_patch16_224", pretrained=False).eval(), Path(folder))
    print("warm", flush=True)
    for _ in sys.stdin:
        # Each build gets a new folder, because overwriting a file is cheaper than creating one.
        with tempfile.TemporaryDirectory(dir=place) as folder:
            started = time.perf_counter()
            build(model, Path(folder))
            print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
