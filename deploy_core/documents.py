"""The project's dataclasses to and from JSON documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.errors import BaseValidationError

from deploy_core.errors import InvalidArtifact
from deploy_core.files import write_json

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A dataclass as plain values for JSON."""
    return cattrs.unstructure(value)


def structured(value: Any, kind: type[T]) -> T:
    """Plain values as the type ``kind``. Raises InvalidArtifact if they do not fit."""
    try:
        return cattrs.structure(value, kind)
    except (BaseValidationError, ValueError, TypeError, KeyError) as error:
        raise InvalidArtifact(
            f"These data are no {kind.__name__} of this version{_where(error)}.", "Make them again."
        ) from error


def write(path: Path, value: Any) -> None:
    """Writes a dataclass as JSON, whole or not at all. Raises StorageFailed."""
    write_json(path, plain(value))


def read(path: Path, kind: type[T]) -> T:
    """Reads a file that ``write`` wrote. Raises InvalidArtifact if it is missing or does not fit ``kind``."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise InvalidArtifact(f"There is no file {path}.", "Make it first.") from error
    except ValueError as error:
        raise InvalidArtifact(f"{path} is damaged.", "Make it again.") from error
    return structured(document, kind)


def _where(error: Exception) -> str:
    """The first error that cattrs found, such as ``: host (required field missing)``."""
    what, _, path = cattrs.transform_error(error)[0].partition(" @ $")
    return f": {path.lstrip('.')} ({what})" if path else ""
