"""Compares two runs: the same files on two machines, or before and after a change."""

from __future__ import annotations

from dataclasses import dataclass

from deploy_core.errors import InvalidRequest
from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Interval, SpeedOutcome, outcome_of, ratio_of_medians
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict.tables import interval_text
from deploy_core.profile.words import counted
from deploy_core.shares import percent

# How much the speed of a machine changes from one run to the next by itself; the interval of one run does not show it.
DRIFT = 0.05


@dataclass(frozen=True)
class FormatChange:
    """One format in both runs.

    - ``ratio``: its median in the second run divided by that in the first; ``interval`` is the 95 % interval, None if
      a run has too few rounds
    - ``relative_ratio``: the same for its ratios to the original of each run, so the speed of the machines cancels out
    """

    format: str
    first: Row
    second: Row
    ratio: float
    interval: Interval | None
    relative_ratio: float

    @property
    def outcome(self) -> SpeedOutcome:
        return outcome_of(self.ratio, self.interval, DRIFT, DRIFT)

    @property
    def is_tie(self) -> bool:
        return self.outcome is SpeedOutcome.EQUAL

    @property
    def text(self) -> str:
        if self.outcome.is_difference:
            return f"{percent(abs(self.ratio - 1))} {self.outcome.value}"
        return self.outcome.value

    @property
    def ratio_text(self) -> str:
        return f"{self.ratio:.2f} ({interval_text(self.interval)})"


@dataclass(frozen=True)
class RunComparison:
    """``same_files`` and ``same_host`` limit the causes of a difference; ``left_out``: the formats of one run only."""

    first: Record
    second: Record
    changes: tuple[FormatChange, ...]
    left_out: tuple[str, ...]
    same_files: bool
    same_host: bool

    @property
    def text(self) -> str:
        files = "the same files" if self.same_files else "files of different builds"
        known = [change for change in self.changes if change.outcome is not SpeedOutcome.UNKNOWN]
        unknown = [change.format for change in self.changes if change.outcome is SpeedOutcome.UNKNOWN]
        lists = {
            "In the second run": "; ".join(f"{FORMATS[change.format].title} {change.text}" for change in known),
            "No reliable difference for": ", ".join(FORMATS[key].title for key in unknown),
            "Only in one of them": ", ".join(FORMATS[key].title for key in self.left_out),
        }
        sentences = "".join(f" {title}: {items}." for title, items in lists.items() if items)
        return f"{self.first.model}: {files}, {self._circumstances}.{sentences}"

    @property
    def _circumstances(self) -> str:
        """The differences between the two machines and their settings."""
        one, other = self.first, self.second
        differences = [] if self.same_host else [f"{one.host.cpu} and {other.host.cpu}"]
        if one.threads != other.threads:
            differences.append(f"{one.threads} and {counted(other.threads, 'thread')}")
        differences += [
            f"{name} {version} and {other.host.versions.get(name, 'none')}"
            for name, version in one.host.versions.items()
            if other.host.versions.get(name) != version
        ]
        return ", ".join(differences) or "the same kind of machine"


def compare(first: Record, second: Record) -> RunComparison:
    """Compares the formats that both runs have. Raises InvalidRequest for different models or no common format."""
    if first.model != second.model:
        raise InvalidRequest(f"One run is of {first.model}, the other of {second.model}.", "Compare runs of one model.")
    others = {row.format: row for row in second.rows}
    pairs = [(row, others[row.format]) for row in first.rows if row.format in others]
    if not pairs:
        raise InvalidRequest("The two runs have no format in common.", "Profile the same formats in both.")
    formats = {row.format for row, _ in pairs}
    return RunComparison(
        first,
        second,
        tuple(_change(row, other) for row, other in pairs),
        tuple(row.format for row in (*first.rows, *second.rows) if row.format not in formats),
        all(row.sha256 == other.sha256 for row, other in pairs),
        (first.host.cpu, first.host.system) == (second.host.cpu, second.host.system),
    )


def _change(first: Row, second: Row) -> FormatChange:
    ratio, interval = ratio_of_medians(first.samples_ms, second.samples_ms)
    return FormatChange(first.format, first, second, ratio, interval, second.ratio / first.ratio)
