"""Every limit and folder, read from the environment in one place.

Each field is read from ``DEIT_DEPLOY_<NAME>``; README.md lists them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidRequest

PREFIX = "DEIT_DEPLOY_"


@dataclass(frozen=True)
class Settings:
    """``home`` holds what the app builds and measures; the other fields are limits and defaults."""

    home: Path = Path.home() / ".cache" / "deit-deploy"
    default_model: str = "demo"
    picture_bytes: int = 20 * 1024 * 1024
    picture_pixels: int = 64_000_000
    fetch_seconds: float = 10.0
    hub_connect_seconds: float = 5.0


def load() -> Settings:
    """The settings of this process. Raises InvalidRequest where a variable does not parse."""
    values: dict[str, Any] = {}
    for field in fields(Settings):
        kind: Any = type(field.default)
        variable = PREFIX + field.name.upper()
        text = os.environ.get(variable)
        if text:
            try:
                values[field.name] = kind(text)
            except ValueError as error:
                raise InvalidRequest(
                    f"The setting {variable} is '{text}', which is not a number.", "Give a number, or unset it."
                ) from error
    return Settings(**values)
