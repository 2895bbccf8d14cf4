"""The conclusion of each chart of a run, as its title, and the file that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import LEAST_ROUNDS, SpeedOutcome, outcome_of
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import reasons, shipping, verdicts
from deploy_core.profile.verdict.shipping import TARGETS, Limits
from deploy_core.profile.words import TOO_SHORT, times_as_fast


@dataclass(frozen=True)
class Headline:
    """``text`` is a chart's title; ``about`` is the title of the file that it names, None if it names none."""

    text: str
    about: str | None = None


def speed(run: Record) -> Headline:
    """Which file is the fastest, and by how much."""
    if run.repeats < LEAST_ROUNDS:
        return Headline(TOO_SHORT)
    row = _fastest(run)
    if row is None:
        return Headline("No file has the original's answers")
    if row is run.rows[0]:
        return Headline("No file is faster than the original", _title(row))
    return Headline(f"{_title(row)}: {row.median_ms:.1f} ms, {times_as_fast(row.ratio)}", _title(row))


def steadiness(run: Record) -> Headline:
    """How long the fastest file takes when it is slow."""
    row = _fastest(run) or min(run.rows, key=lambda row: row.median_ms)
    return Headline(f"{_title(row)} answers within {row.p95_ms:.1f} ms in 95 of 100 rounds", _title(row))


def savings(run: Record) -> Headline:
    """How many files are faster than the original, as far as the run shows."""
    if run.repeats < LEAST_ROUNDS:
        return Headline(TOO_SHORT)
    others = run.rows[1:]
    outcomes = {_title(row): _against_original(row) for row in others}
    faster = sum(outcome is SpeedOutcome.FASTER for outcome in outcomes.values())
    unknown = [title for title, outcome in outcomes.items() if outcome is SpeedOutcome.UNKNOWN]
    start = f"{faster} of {len(others)} files" if faster < len(others) else f"All {faster} files"
    start = "The file" if len(others) == faster == 1 else start
    rest = f"; no reliable difference: {'; '.join(unknown)}" if unknown else ""
    fastest = _fastest(run)
    return Headline(
        f"{start} {'is' if faster == 1 else 'are'} faster than the original{rest}",
        _title(fastest) if fastest else None,
    )


def size_and_speed(run: Record) -> Headline:
    """Which file is the smallest, and which the fastest."""
    front = verdicts.pareto(run.rows)
    smallest, fastest = front[0], front[-1]
    small = f"{_title(smallest)}, {smallest.bytes / 1e6:.1f} MB"
    if smallest is fastest:
        return Headline(f"The smallest and the fastest: {small}, {smallest.median_ms:.1f} ms", _title(smallest))
    return Headline(
        f"The smallest: {small}; the fastest: {_title(fastest)}, {fastest.median_ms:.1f} ms", _title(fastest)
    )


def operators(run: Record) -> Headline:
    """What most files spend most of their time on."""
    seen = [reasons.by_group(row) for row in run.rows if row.operators]
    group, count = Counter(next(iter(groups)) for groups in seen).most_common(1)[0]
    files = f"{count} of {len(seen)} files" if count < len(seen) else "every file"
    return Headline(f"{group[0].upper()}{group[1:]} take the most time in {files}")


def batches(run: Record) -> Headline:
    """Which file answers the most pictures a second, and in which batches."""
    rate, row = max(
        ((rate, row) for row in run.rows for rate in row.throughput), key=lambda pair: pair[0].pictures_per_second
    )
    how = "one at a time" if rate.batch == 1 else f"{rate.batch} at once"
    return Headline(f"{_title(row)}: {rate.pictures_per_second:.0f} pictures a second, {how}", _title(row))


def threads(run: Record) -> Headline:
    """What more threads do for the fastest file that was measured with several thread counts."""
    row = min((row for row in run.rows if len(row.scaling) > 1), key=lambda row: row.median_ms)
    few, many = row.scaling[0], row.scaling[-1]
    gain = few.median_ms / many.median_ms
    return Headline(
        f"{_title(row)}: {gain:.1f} times as fast with {many.threads} threads as with {few.threads}", _title(row)
    )


def loading(run: Record) -> Headline:
    return _least(run, "Loads fastest", lambda row: row.load_ms, "{:.0f} ms")


def first_answer(run: Record) -> Headline:
    return _least(run, "Fastest first answer", lambda row: row.first_ms, "{:.0f} ms")


def memory(run: Record) -> Headline:
    return _least(run, "Least memory", lambda row: row.added_bytes and row.added_bytes / 1e6, "{:.0f} MB")


def size(run: Record) -> Headline:
    return _least(run, "Smallest file", lambda row: row.bytes / 1e6, "{:.1f} MB")


def _least(run: Record, what: str, value: Callable[[Row], float | None], form: str) -> Headline:
    least, row = min(((found, row) for row in run.rows if (found := value(row)) is not None), key=lambda pair: pair[0])
    return Headline(f"{what}: {_title(row)}, {form.format(least)}", _title(row))


def _fastest(run: Record) -> Row | None:
    """The file that a server should get; None without one."""
    chosen = shipping.recommend(run, TARGETS["server"], Limits()).format
    return next((row for row in run.rows if row.format == chosen), None)


def _against_original(row: Row) -> SpeedOutcome:
    return outcome_of(row.ratio, row.ratio_interval, verdicts.TIE, verdicts.ALIKE)


def _title(row: Row) -> str:
    return FORMATS[row.format].title
