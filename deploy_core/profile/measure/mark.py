"""Notes in a file which contender runs, so that it is known after its process crashed."""

from __future__ import annotations

import os
from pathlib import Path

WIDTH = 64


class Mark:
    """Writes into the file in place: it writes between measurements, so it must be fast."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def set(self, name: str) -> None:
        os.pwrite(self._file.fileno(), name.encode().ljust(WIDTH), 0)


def read(path: Path) -> str | None:
    """The name that was noted last; None if there is none."""
    return path.read_text().strip() or None if path.exists() else None
