"""Gives freed memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Collects garbage and returns freed memory.

    Script modules hold references to themselves, and glibc keeps freed memory. Both would add up with every model.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
