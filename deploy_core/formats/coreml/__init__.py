"""Core ML, Apple's own runtime: programs in float16 and with int8 weights, built here and run on Apple's devices."""

from deploy_core.formats.coreml.rows import ROWS

__all__ = ["ROWS"]
