"""Locks on folders, with ``flock``: they hold between processes and end with them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
SHARED = fcntl.LOCK_SH
ALONE_OR_FAIL = fcntl.LOCK_EX | fcntl.LOCK_NB


@contextmanager
def locked(folder: Path, kind: int) -> Iterator[None]:
    """Holds a lock on a folder. Raises FileNotFoundError if it is gone, BlockingIOError if another holds the lock."""
    handle = _lock(folder, kind)
    try:
        yield
    finally:
        os.close(handle)


def _lock(folder: Path, kind: int) -> int:
    while True:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, kind)
            # If the folder was removed while we waited, this is a lock on a removed file.
            if os.path.samestat(os.fstat(handle), (folder / LOCK).stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def used_at(folder: Path) -> int:
    """When the folder was last used: nanoseconds since 1970, 0 if it has no lock file."""
    try:
        return (folder / LOCK).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
