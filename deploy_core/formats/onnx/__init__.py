"""ONNX, a graph that many runtimes read, browsers among them: float32 and int8, run here by ONNX Runtime."""

from deploy_core.formats.onnx.rows import ROWS

__all__ = ["ROWS"]
