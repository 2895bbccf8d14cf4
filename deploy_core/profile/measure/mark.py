"""A note of what is being done, in a file, so that it outlives the process that does it."""

from __future__ import annotations

import os
from pathlib import Path

WIDTH = 64


class Mark:
    """Written in place, because it is written between measurements and must cost next to nothing."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def set(self, name: str) -> None:
        os.pwrite(self._file.fileno(), name.encode().ljust(WIDTH), 0)


def read(path: Path) -> str | None:
    """What was noted last; None where nothing was."""
    return path.read_text().strip() or None if path.exists() else None
