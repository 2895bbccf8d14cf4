"""LiteRT, the runtime of Android apps that also runs in browsers: float32 and int8, computed by XNNPACK."""

from deploy_core.formats.litert.rows import ROWS

__all__ = ["ROWS"]
