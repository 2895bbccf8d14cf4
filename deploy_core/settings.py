"""Every limit and folder, read from the environment in one place.

Each field is read from ``DEIT_DEPLOY_<NAME>``. Its annotation says what it is; ``table`` prints that for the docs.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from deploy_core.errors import InvalidRequest

PREFIX = "DEIT_DEPLOY_"


@dataclass(frozen=True)
class About:
    """What a setting is, in words. ``shown`` stands for its default in the table; ``least`` is its smallest value."""

    what: str
    shown: str = ""
    least: float = 1


@dataclass(frozen=True)
class Settings:
    """``home`` holds what the app builds and measures; the other fields are limits and defaults."""

    home: Annotated[
        Path,
        About(
            "folder for what the app builds and measures; labelled sets in its `datasets` are offered on Evaluate",
            "~/.cache/deit-deploy",
        ),
    ] = Path.home() / ".cache" / "deit-deploy"
    default_model: Annotated[str, About("the model that a visitor meets first")] = "demo"
    models: Annotated[str, About("the models that are offered: names with commas between them", "all")] = ""
    formats: Annotated[str, About("the formats that are offered: keys with commas between them", "all")] = ""
    largest_parameters: Annotated[
        int, About("the largest model that is offered or brought, in parameters (DeiT-Base has 87 million)")
    ] = 100_000_000
    picture_bytes: Annotated[int, About("largest picture file")] = 20 * 1024 * 1024
    picture_pixels: Annotated[int, About("largest picture, width times height")] = 64_000_000
    picture_seconds: Annotated[float, About("longest time to read one picture, whatever is in it", least=0)] = 10.0
    fetch_seconds: Annotated[float, About("longest time to fetch a picture from a URL", least=0)] = 10.0
    hub_connect_seconds: Annotated[float, About("how long to wait for an answer of the Hub", least=0)] = 5.0
    offline: Annotated[int, About("1: no network, neither the Hub nor pictures from URLs", least=0)] = 0
    store_bytes: Annotated[int, About("how much built files may take; the least recently used are removed first")] = (
        10_000_000_000
    )
    upload_bytes: Annotated[
        int,
        About(
            "how much labelled pictures may take (the oldest are removed first), "
            "and how much all visitors' own models may take"
        ),
    ] = 2_000_000_000
    memory_bytes: Annotated[
        int,
        About(
            "how much memory the app may use; a model or a build that would not fit is refused",
            "what the machine or its container has",
            least=0,
        ),
    ] = 0
    session_upload_bytes: Annotated[
        int, About("how much of one visitor's uploads the app holds in memory at a time")
    ] = 420_000_000
    all_upload_bytes: Annotated[int, About("the same for all visitors together")] = 500_000_000
    answer_seconds: Annotated[
        float, About("longest time for one answer; the process that takes longer is replaced", least=0)
    ] = 60.0
    cpu_threads: Annotated[int, About("threads of one inference or build", "all cores", least=0)] = 0
    inferences: Annotated[int, About("how many pictures are answered at once, by one copy of each model")] = 1
    builds: Annotated[
        int, About("how many builds, evaluations and downloads run at once; a profile always runs alone")
    ] = 1
    waiting_jobs: Annotated[int, About("how many builds, evaluations and profiles may wait for those that run")] = 10
    visitor_jobs: Annotated[int, About("how many of those one visitor may have at a time")] = 3
    idle_seconds: Annotated[float, About("how long a process without work is kept", least=0)] = 300.0
    public_url: Annotated[
        str, About("the address at which phones reach the app, for QR codes", "the address in the browser")
    ] = ""
    framed_by: Annotated[
        str, About("the sites that may show the app in a frame: origins with commas between them", "none")
    ] = ""


def load() -> Settings:
    """The settings of this process. Raises InvalidRequest for a variable that makes no sense."""
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        text = os.environ.get(variable)
        if text:
            values[setting.name] = _parsed(variable, text, setting.default, _about()[setting.name].least)
    return Settings(**values)


def environment(settings: Settings) -> dict[str, str]:
    """The environment variables that give another process these settings."""
    return {PREFIX + setting.name.upper(): str(getattr(settings, setting.name)) for setting in fields(Settings)}


def table() -> str:
    """The settings as a table in Markdown."""
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for setting in fields(Settings):
        about = _about()[setting.name]
        default = (
            about.shown if about.shown and not about.shown.startswith("~") else f"`{_shown(setting.default, about)}`"
        )
        rows.append(f"| `{PREFIX}{setting.name.upper()}` | {default} | {about.what} |")
    return "\n".join(rows)


def expanded(path: str) -> Path:
    """The path with a leading ``~`` resolved. ``Path.expanduser`` raises for an unknown user; this keeps the ``~``."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _parsed(variable: str, text: str, default: Any, least: float) -> Any:
    if isinstance(default, Path):
        return expanded(text)
    if isinstance(default, str):
        return text
    try:
        number = type(default)(text)
    except ValueError:
        number = -1
    if not least <= number < math.inf or (isinstance(default, float) and not number):
        raise InvalidRequest(
            f"The setting {variable} is '{text}', which is no number {f'from {least:g}' if least else 'above 0'}.",
            "Correct it, or unset it.",
        )
    return number


def _about() -> dict[str, About]:
    hints = get_type_hints(Settings, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items()}


def _shown(default: Any, about: About) -> str:
    return about.shown or (f"{default:g}" if isinstance(default, float) else str(default))
