"""Ranges on the fields of dataclasses, and the check against them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest

from deploy_core.profile.device.report import Report
from deploy_core.profile.record.record import Record
from deploy_core.ranges import Range, out_of_range


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Outer:
    counts: Annotated[tuple[int, ...], Range(1, 9)]
    inner: tuple[Inner, ...]
    names: dict[str, str]
    seconds: Annotated[float | None, Range(0, 5)]
    is_done: bool


SOUND = Outer((1, 9), (Inner(0.0), Inner(1.0)), {"torch": "2"}, None, True)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (SOUND, []),
        (replace(SOUND, seconds=5.5), ["seconds is 5.5"]),
        (replace(SOUND, seconds=float("nan")), ["seconds is nan"]),
        (replace(SOUND, counts=(1, 0, 10**400)), ["counts[1] is 0", f"counts[2] is 1{'0' * 39}…"]),
        (replace(SOUND, inner=(Inner(0.5), Inner(-0.5))), ["inner[1].share is -0.5"]),
        (replace(SOUND, names={"torch": ""}), ["names.torch is "]),
    ],
)
def test_what_is_outside_its_range_is_named_with_its_place(value: Outer, found: list[str]) -> None:
    assert list(out_of_range(value, bool)) == found


def without_range(hint: Any, path: str, has_range: bool = False) -> Iterator[str]:
    """The numbers that a type holds and no range covers."""
    if get_origin(hint) is Annotated:
        hint, has_range = hint.__origin__, True
    if is_dataclass(hint):
        for name, inner in get_type_hints(hint, include_extras=True).items():
            yield from without_range(inner, f"{path}.{name}")
    elif get_origin(hint) in (tuple, dict, Union, types.UnionType):
        for part in get_args(hint):
            yield from without_range(part, path, has_range)
    elif hint in (int, float) and not has_range:
        yield path


@pytest.mark.parametrize("kind", [Record, Report])
def test_every_number_from_elsewhere_has_a_range(kind: type) -> None:
    assert list(without_range(kind, kind.__name__)) == []


def test_a_number_without_a_range_is_a_mistake_of_the_program() -> None:
    @dataclass(frozen=True)
    class Bare:
        count: int

    with pytest.raises(TypeError, match="count has no range"):
        list(out_of_range(Bare(1), bool))
