"""Reads the pictures of a labelled set that is a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath

from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation.members import Member, is_decodable, is_hidden, shown
from deploy_core.settings import Settings


def folder_members(root: Path, settings: Settings) -> Iterator[Member]:
    """Every file and folder below ``root`` that is not hidden, by name. Raises InvalidPictureSet for a bad name."""
    for name, status in _walk(root):
        is_folder = status is not None and stat.S_ISDIR(status.st_mode)
        yield Member(name, is_folder, partial(read_picture, root, name, settings))


def _walk(root: Path) -> list[tuple[str, os.stat_result | None]]:
    """The names and states of all members; the state is None for a broken link.

    A folder that several links lead to is listed once, so a loop of links ends.
    """
    statuses: dict[str, os.stat_result | None] = {}
    seen = {_identity(root.stat())}
    waiting = [root]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if is_hidden(path.name):
                continue
            status = _status(path)
            if status and stat.S_ISDIR(status.st_mode):
                if _identity(status) in seen:
                    continue
                seen.add(_identity(status))
                waiting.append(path)
            name = path.relative_to(root).as_posix()
            if not is_decodable(name):
                raise InvalidPictureSet(f"The name {shown(name)} is in an unknown encoding.", "Rename it in UTF-8.")
            statuses[name] = status
    return sorted(statuses.items(), key=lambda item: item[0])


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def read_picture(root: Path, name: str, settings: Settings) -> bytes | None:
    """The bytes of a picture by its name in the set; None for a missing, unreadable or too large one.

    Follows links. Raises InvalidPictureSet for a name that leads out of the folder.
    """
    if PurePath(name).anchor or ".." in PurePath(name).parts:
        raise InvalidPictureSet(f"The name {shown(name)} leads out of the set.", "Name a picture of the set.")
    path = root / name
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
            return None
        with path.open("rb") as file:
            data = file.read(settings.picture_bytes + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= settings.picture_bytes else None
