"""The tutorial's calls and nothing else: the yardstick for what `python -m deploy_core build` adds."""

from __future__ import annotations

import sys
from pathlib import Path

import timm
import torch
from torch._C import _MobileOptimizerType as MobilePass
from torch.utils.mobile_optimizer import optimize_for_mobile


def main(name: str, folder: Path) -> None:
    slow = MobilePass.INSERT_FOLD_PREPACK_OPS  # type: ignore[attr-defined]
    model = timm.create_model(name, pretrained=False).eval()
    torch.jit.script(model).save(folder / "scripted.pt")
    torch.backends.quantized.engine = "qnnpack"
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    scripted = torch.jit.script(quantized)
    scripted.save(folder / "quantized.pt")
    optimized = optimize_for_mobile(scripted, {slow})
    optimized.save(str(folder / "optimized.pt"))
    optimized._save_for_lite_interpreter(str(folder / "lite.ptl"))
    print("saved", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
