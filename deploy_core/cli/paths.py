"""The type of every option that names a file or a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy_core import settings


def path(text: str) -> Path:
    """A path with ``~`` resolved. The native libraries that read and write models take paths in UTF-8 only.

    Raises ArgumentTypeError, which argparse turns into one sentence.
    """
    if "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"the path {text!r} is not in UTF-8: rename it") from error
    return settings.expanded(text)


def name_or_path(text: str) -> str:
    """The name of a model, a run or a kind of weights as it is, or a path as ``path`` gives it."""
    resolved = path(text)
    # Path would shorten an address such as tcp://, and "./demo" to the name of a model.
    return str(resolved) if text.startswith("~") else text


def source(text: str) -> str:
    """The address or the path of a picture. Its name may be in any encoding."""
    return str(settings.expanded(text)) if text.startswith("~") else text
