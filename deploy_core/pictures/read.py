"""Reads the bytes of a picture from a file or an http(s) address."""

from __future__ import annotations

import re
from pathlib import Path

from deploy_core.errors import PictureUnreachable
from deploy_core.pictures.decode import too_large
from deploy_core.settings import Settings

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)


def read(source: str, settings: Settings) -> bytes:
    """The bytes of the file or http(s) address ``source``.

    Raises PictureUnreachable if they cannot be read, and InvalidPicture above ``settings.picture_bytes``.
    """
    if not ADDRESS.match(source):
        return _read_file(source, settings)
    from deploy_core.pictures.fetch import fetch

    return fetch(source, settings)


def _read_file(source: str, settings: Settings) -> bytes:
    path = Path(source)
    try:
        if path.is_dir():
            raise PictureUnreachable(f"'{source}' is a folder.", "Give the path of a picture.")
        if path.exists() and not path.is_file():
            raise PictureUnreachable(f"'{source}' is not a regular file.", "Give the path of a picture.")
        with path.open("rb") as file:
            data = file.read(settings.picture_bytes + 1)
    except FileNotFoundError as error:
        raise PictureUnreachable(f"There is no file '{source}'.", "Check the path.") from error
    except (OSError, ValueError) as error:
        raise PictureUnreachable(
            "The file cannot be read.", "Check its path and your permission to read it."
        ) from error
    if len(data) > settings.picture_bytes:
        raise too_large(settings)
    return data
