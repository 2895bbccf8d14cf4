"""ExecuTorch, PyTorch's current runtime for phones: programs in float32 and int8, computed by XNNPACK."""

from deploy_core.formats.executorch.rows import ROWS

__all__ = ["ROWS"]
