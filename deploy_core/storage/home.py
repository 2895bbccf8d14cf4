"""Only one app uses a home at a time, because an app removes at its start what an earlier one left behind."""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy_core.errors import HomeInUse
from deploy_core.files import make_folder, storage_failed
from deploy_core.settings import Settings

LOCK = ".lock"


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Holds the home until the block ends. The system releases it when this process ends in any way.

    Raises HomeInUse, which names the process that holds it, and StorageFailed if the folder cannot be created.
    """
    path = make_folder(settings.home) / LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_failed(settings.home, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeInUse(
                f"{settings.home} is in use by another app{_holder(path)}.",
                "End that one, or give this one another DEIT_DEPLOY_HOME.",
            ) from error
        note = {"process": os.getpid(), "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds")}
        os.truncate(handle, 0)
        os.write(handle, json.dumps(note).encode())
        yield
    finally:
        os.close(handle)


def require(settings: Settings) -> None:
    """Creates the home if there is none. Raises StorageFailed if that fails, or if nothing can be written there."""
    folder = make_folder(settings.home)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise storage_failed(folder, OSError(errno.EACCES, os.strerror(errno.EACCES)))


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(path.read_text())
        return f" (process {note['process']}, since {note['since']})"
    return ""
