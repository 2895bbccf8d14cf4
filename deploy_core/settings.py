"""Every limit and folder, read from the environment in one place.

Each field is read from ``DEIT_DEPLOY_<NAME>``; README.md lists them.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidRequest

PREFIX = "DEIT_DEPLOY_"


@dataclass(frozen=True)
class Settings:
    """``home`` holds what the app builds and measures; the other fields are limits and defaults.

    ``public_url`` is the address that visitors' phones reach this app under; without it, the one in their browser.
    """

    home: Path = Path.home() / ".cache" / "deit-deploy"
    default_model: str = "demo"
    picture_bytes: int = 20 * 1024 * 1024
    picture_pixels: int = 64_000_000
    fetch_seconds: float = 10.0
    hub_connect_seconds: float = 5.0
    store_bytes: int = 10_000_000_000
    upload_bytes: int = 2_000_000_000
    waiting_jobs: int = 10
    idle_seconds: float = 300.0
    public_url: str = ""


def load() -> Settings:
    """The settings of this process. Raises InvalidRequest where a variable makes no sense."""
    values: dict[str, Any] = {}
    for field in fields(Settings):
        variable = PREFIX + field.name.upper()
        text = os.environ.get(variable)
        if text:
            values[field.name] = _parsed(variable, text, field.default)
    return Settings(**values)


def environment(settings: Settings) -> dict[str, str]:
    """The variables under which another process has these settings."""
    return {PREFIX + field.name.upper(): str(getattr(settings, field.name)) for field in fields(Settings)}


def expanded(path: str) -> Path:
    """A path with a leading ``~`` resolved, or as it is where there is no such user; ``Path.expanduser`` raises."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _parsed(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, Path):
        return expanded(text)
    if isinstance(default, str):
        return text
    try:
        number = type(default)(text)
    except ValueError:
        number = -1
    if not 0 < number < math.inf:
        raise InvalidRequest(f"The setting {variable} is '{text}', which is no number above 0.", "Mend or unset it.")
    return number
