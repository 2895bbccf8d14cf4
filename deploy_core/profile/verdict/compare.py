"""Two runs side by side: the same files on two machines, or before and after a change."""

from __future__ import annotations

from dataclasses import dataclass

from deploy_core.errors import InvalidRequest
from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Finding, Interval, judged, ratio_of_medians
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict.tables import interval_text
from deploy_core.profile.words import counted, percent

# What a machine's speed changes by itself from one run to the next, which no interval of one run tells.
DRIFT = 0.05


@dataclass(frozen=True)
class Change:
    """One format in both runs: ``ratio`` is its median in the second run in that of the first, with its 95 % interval,
    None where a run has too few rounds.

    ``relative_ratio`` compares its ratios to each run's own original, which leaves out how fast the machines are.
    """

    format: str
    first: Row
    second: Row
    ratio: float
    interval: Interval | None
    relative_ratio: float

    @property
    def finding(self) -> Finding:
        return judged(self.ratio, self.interval, DRIFT, DRIFT)

    @property
    def is_tie(self) -> bool:
        return self.finding is Finding.EQUAL

    @property
    def text(self) -> str:
        if self.finding.is_difference:
            return f"{percent(abs(self.ratio - 1))} {self.finding.value}"
        return self.finding.value

    @property
    def ratio_text(self) -> str:
        return f"{self.ratio:.2f} ({interval_text(self.interval)})"


@dataclass(frozen=True)
class Comparison:
    """``same_files`` and ``same_host`` tell what a difference can come from; what one run lacks is ``left_out``."""

    first: Record
    second: Record
    changes: tuple[Change, ...]
    left_out: tuple[str, ...]
    same_files: bool
    same_host: bool

    @property
    def text(self) -> str:
        files = "the same files" if self.same_files else "files of different builds"
        known = [change for change in self.changes if change.finding is not Finding.UNKNOWN]
        unknown = [change.format for change in self.changes if change.finding is Finding.UNKNOWN]
        told = {
            "In the second run": "; ".join(f"{FORMATS[change.format].title} {change.text}" for change in known),
            "These runs cannot tell for": ", ".join(FORMATS[key].title for key in unknown),
            "Only in one of them": ", ".join(FORMATS[key].title for key in self.left_out),
        }
        sentences = "".join(f" {what}: {which}." for what, which in told.items() if which)
        return f"{self.first.model}: {files}, {self._circumstances}.{sentences}"

    @property
    def _circumstances(self) -> str:
        """What else differs between the runs."""
        one, other = self.first, self.second
        found = [] if self.same_host else [f"{one.host.cpu} and {other.host.cpu}"]
        if one.threads != other.threads:
            found.append(f"{one.threads} and {counted(other.threads, 'thread')}")
        found += [
            f"{name} {version} and {other.host.versions.get(name, 'none')}"
            for name, version in one.host.versions.items()
            if other.host.versions.get(name) != version
        ]
        return ", ".join(found) or "the same kind of machine"


def compare(first: Record, second: Record) -> Comparison:
    """Compares what is in both runs. Raises InvalidRequest where they are of different models, or share no format."""
    if first.model != second.model:
        raise InvalidRequest(f"One run is of {first.model}, the other of {second.model}.", "Compare runs of one model.")
    others = {row.format: row for row in second.rows}
    pairs = [(row, others[row.format]) for row in first.rows if row.format in others]
    if not pairs:
        raise InvalidRequest("The two runs have no format in common.", "Profile the same formats in both.")
    formats = {row.format for row, _ in pairs}
    return Comparison(
        first,
        second,
        tuple(_change(row, other) for row, other in pairs),
        tuple(row.format for row in (*first.rows, *second.rows) if row.format not in formats),
        all(row.sha256 == other.sha256 for row, other in pairs),
        (first.host.cpu, first.host.system) == (second.host.cpu, second.host.system),
    )


def _change(first: Row, second: Row) -> Change:
    ratio, interval = ratio_of_medians(first.samples_ms, second.samples_ms)
    return Change(first.format, first, second, ratio, interval, second.ratio / first.ratio)
