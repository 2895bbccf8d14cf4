"""Recommends the file to ship for a target within limits, as far as the numbers of a run can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import LEAST_ROUNDS
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict.verdicts import between
from deploy_core.profile.words import NO_DIFFERENCE, counted, times_as_fast
from deploy_core.shares import percent
from deploy_core.types import Platform

LEAST_LIMIT = 1e-9


@dataclass(frozen=True)
class Limits:
    """The limits that a file must keep; None for no limit. ``agreement`` is the least share of equal top-1 answers."""

    bytes: int | None = None
    milliseconds: float | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class Target:
    """A place where a file runs.

    - ``takes``: whether a format runs there
    - ``near``: only files count that are larger than the smallest by at most this share, even if others are faster;
      None if size does not matter
    - ``caution``: how far the measurements hold there
    """

    title: str
    takes: Callable[[str], bool]
    near: float | None
    caution: Callable[[Record], str]


@dataclass(frozen=True)
class Recommendation:
    """The format to ship for a target, and why; None if no file keeps the limits or the run ``is_too_short``."""

    target: str
    format: str | None
    reason: str
    is_too_short: bool = False

    @property
    def title(self) -> str:
        if self.format:
            return FORMATS[self.format].title
        return "Cannot say yet" if self.is_too_short else "Nothing"

    @property
    def text(self) -> str:
        return f"For {self.target}: {self.title}. {self.reason}"


TARGETS: dict[str, Target] = {
    "phone": Target(
        "an Android app",
        lambda key: FORMATS[key].runs_on(Platform.ANDROID),
        0.1,
        lambda _: "A PC is not a phone: sizes and answers hold there, milliseconds do not.",
    ),
    "web": Target(
        "a web page",
        lambda key: FORMATS[key].runs_on(Platform.BROWSERS),
        0.02,
        lambda _: "Every visitor downloads it, so its size comes first; a browser's speed is its own.",
    ),
    "server": Target(
        "a server like this",
        lambda _: True,
        None,
        lambda run: f"Measured on {run.host.cpu} with {counted(run.threads, 'thread')}.",
    ),
}


def recommend(run: Record, target: Target, limits: Limits) -> Recommendation:
    """The fastest file for ``target`` within ``limits``; if the target has a ``near``, among the smallest only.

    Of equally fast files it is the smallest. With too few rounds, speed does not count.
    """
    is_speed_known = run.repeats >= LEAST_ROUNDS
    if not is_speed_known and (target.near is None or limits.milliseconds is not None):
        rounds = counted(run.repeats, "round")
        return Recommendation(
            target.title, None, f"{rounds} cannot tell which file is fast enough. Measure longer.", True
        )
    able = [row for row in run.rows if target.takes(row.format)]
    kept = [row for row in able if not _broken(row, limits)]
    if not able:
        return Recommendation(target.title, None, "No file of this run runs there.")
    if not kept:
        return Recommendation(
            target.title, None, f"No file that runs there keeps these limits. {_nearest(able, limits)}"
        )
    smallest = min(kept, key=_size)
    fit = kept if target.near is None else [row for row in kept if row.bytes <= smallest.bytes * (1 + target.near)]
    alike = _as_fast_as_the_fastest(fit) if is_speed_known else [smallest]
    chosen = min(alike, key=_size)
    reasons = [_praise(run, chosen, target), _rivals([row for row in alike if row is not chosen]), target.caution(run)]
    return Recommendation(target.title, chosen.format, " ".join(filter(None, reasons)))


def _as_fast_as_the_fastest(rows: Sequence[Row]) -> list[Row]:
    """The fastest file, and those that are not slower as far as this run can tell."""
    fastest = min(rows, key=lambda row: row.median_ms)
    return [row for row in rows if not between(fastest, row).outcome.is_difference]


def _size(row: Row) -> int:
    return row.bytes


def _broken(row: Row, limits: Limits) -> dict[str, float]:
    """The limits that a file breaks, in words, and by how large a share of each."""
    broken: dict[str, float] = {}
    if limits.bytes is not None and row.bytes > limits.bytes:
        broken[f"{row.bytes / 1e6:.1f} MB"] = row.bytes / max(limits.bytes, LEAST_LIMIT) - 1
    if limits.milliseconds is not None and row.median_ms > limits.milliseconds:
        broken[f"{row.median_ms:.1f} ms"] = row.median_ms / max(limits.milliseconds, LEAST_LIMIT) - 1
    if limits.agreement is not None and row.top1_agreement < limits.agreement:
        broken[f"{percent(row.top1_agreement)} equal answers"] = 1 - row.top1_agreement / limits.agreement
    if row.disagrees:
        broken["answers too far from the original's"] = math.inf
    return broken


def _nearest(able: Sequence[Row], limits: Limits) -> str:
    nearest = min(able, key=lambda row: (max(_broken(row, limits).values()), row.bytes))
    return f"The nearest is {FORMATS[nearest.format].title}: {', '.join(_broken(nearest, limits))}."


def _praise(run: Record, chosen: Row, target: Target) -> str:
    original = run.rows[0]
    if chosen is original:
        return "Nothing else within the limits is better there."
    size = f"{chosen.bytes / 1e6:.1f} MB instead of {original.bytes / 1e6:.1f} MB"
    if run.repeats < LEAST_ROUNDS:
        size += ", chosen by size alone, because too few rounds were measured"
    speed = f"{chosen.median_ms:.1f} ms, {times_as_fast(chosen.ratio)}"
    return (
        f"{speed if target.near is None else size}. Matches the original on {percent(chosen.top1_agreement)} of the "
        "pictures."
    )


def _rivals(rivals: Sequence[Row]) -> str:
    if not rivals:
        return ""
    names = "; ".join(FORMATS[row.format].title for row in rivals)
    return f"{NO_DIFFERENCE} in speed, and no smaller: {names}."
