"""The range of a number, written on its dataclass field, and the check of a dataclass against these ranges.

A field with numbers is ``Annotated[float, Range(0, 1)]``; for a tuple, the range is that of each value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

SHOWN = 40


@dataclass(frozen=True)
class Range:
    """The least and the largest value that a field may hold."""

    least: float
    largest: float


def out_of_range(value: Any, is_sound: Callable[[str], bool], path: str = "") -> Iterator[str]:
    """Each number of a dataclass outside its range and each text that is not ``is_sound``, with its place.

    Looks into dataclasses, tuples and dictionaries inside. Raises TypeError for a number without a range.
    """
    for name, limits in _ranges(value.__class__).items():
        yield from _checked(getattr(value, name), limits, is_sound, f"{path}.{name}".removeprefix("."))


def _checked(value: Any, limits: Range | None, is_sound: Callable[[str], bool], path: str) -> Iterator[str]:
    if is_dataclass(value):
        yield from out_of_range(value, is_sound, path)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _checked(part, limits, is_sound, f"{path}.{name}")
    elif isinstance(value, tuple):
        for number, part in enumerate(value):
            yield from _checked(part, limits, is_sound, f"{path}[{number}]")
    elif isinstance(value, str):
        if not is_sound(value):
            yield f"{path} is {shortened(value)}"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if limits is None:
            raise TypeError(f"{path} has no range")
        if not limits.least <= value <= limits.largest:
            yield f"{path} is {shortened(value)}"


@cache
def _ranges(kind: type) -> dict[str, Range | None]:
    """The range of each field; None for a field without one."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: get_args(hint)[1] if get_origin(hint) is Annotated else None for name, hint in hints.items()}


def shortened(value: object) -> str:
    """A value as text of at most 40 characters."""
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
