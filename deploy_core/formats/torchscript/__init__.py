"""TorchScript, the tutorial's family: scripted, quantized, optimized for mobile, and for the lite interpreter."""

from deploy_core.formats.torchscript.rows import ROWS

__all__ = ["ROWS"]
