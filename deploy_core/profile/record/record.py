"""What one profile measured, as dataclasses. ``saved`` reads and writes them as JSON; ``doubts`` checks them.

``docs/profile-record.md`` documents every field for people who read the files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from deploy_core import documents
from deploy_core.profile.intervals import MOST_ROUNDS, Interval
from deploy_core.ranges import Range
from deploy_core.types import OperatorTime

VERSION = 4
COUNT = Range(1, 1e6)
ROUNDS = Range(1, MOST_ROUNDS)
SIZE = Range(1, 1e15)
# In milliseconds: no clock is finer than a nanosecond, and nobody waits longer than a day.
TIME = Range(1e-6, 86_400_000)
RATIO = Range(1e-9, 1e9)


@dataclass(frozen=True)
class Host:
    """A machine. ``cores`` are physical, ``cpus`` logical; ``versions`` are those of the packages that run files."""

    cpu: str
    instructions: tuple[str, ...]
    cores: Annotated[int | None, COUNT]
    cpus: Annotated[int, COUNT]
    memory_bytes: Annotated[int, SIZE]
    machine: str
    system: str
    python: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Throughput:
    """How many pictures a file answers per second in batches of ``batch``."""

    batch: Annotated[int, COUNT]
    pictures_per_second: Annotated[float, Range(1e-6, 1e9)]


@dataclass(frozen=True)
class Scaling:
    """The median time of one picture with ``threads`` threads.

    ``rounds`` is None in a record of an older version, which did not save it.
    """

    threads: Annotated[int, COUNT]
    median_ms: Annotated[float, TIME]
    interval_ms: Annotated[Interval | None, TIME]
    rounds: Annotated[int | None, ROUNDS]


@dataclass(frozen=True)
class Row:
    """The measurements of one file. Times are in milliseconds, for one picture unless a field says otherwise.

    - ``samples_ms``: every timed round, in order; ``median_ms``, ``p95_ms`` and ``spread_ms`` (between the quartiles)
      are computed from them
    - ``ratio``: the median divided by the original's; ``reduction_percent`` is the tutorial's last column
    - ``median_interval_ms``, ``ratio_interval``: 95 % intervals; None for too few rounds
    - ``self_cpu_ms``: the tutorial's figure, from torch's profiler; None without ``operators``, or if torch does not
      run the file
    - ``load_ms``, ``first_ms``, ``peak_bytes``: measured in new processes that do nothing else: reading the file, the
      first answer, the most memory held; ``runtime_bytes`` is the memory held before the file is read; all None in a
      run of latency only
    - ``throughput``: one entry per batch size, as far as the time sufficed; empty if the format takes one picture at a
      time
    - ``top1_agreement``, ``cosine``: against the original, on the reference pictures of the build
    - ``operators``: sorted by self time; empty if the runtime does not report them, or no time was left for them
    - ``delegated_percent``, ``undelegated``: the share of ExecuTorch's operators that the delegate computes, and the
      names of the others
    """

    format: str
    file: str
    bytes: Annotated[int, SIZE]
    sha256: str
    run_engine: str
    median_ms: Annotated[float, TIME]
    median_interval_ms: Annotated[Interval | None, TIME]
    p95_ms: Annotated[float, TIME]
    spread_ms: Annotated[float, Range(0, TIME.largest)]
    ratio: Annotated[float, RATIO]
    ratio_interval: Annotated[Interval | None, RATIO]
    reduction_percent: Annotated[float, Range(-1e11, 100)]
    self_cpu_ms: Annotated[float | None, Range(0, TIME.largest)]
    load_ms: Annotated[float | None, TIME]
    first_ms: Annotated[float | None, TIME]
    peak_bytes: Annotated[int | None, SIZE]
    runtime_bytes: Annotated[int | None, Range(0, SIZE.largest)]
    top1_agreement: Annotated[float, Range(0, 1)]
    # The last digits of a float are not exact.
    cosine: Annotated[float, Range(-1 - 1e-6, 1 + 1e-6)]
    disagrees: bool
    throughput: tuple[Throughput, ...]
    scaling: tuple[Scaling, ...]
    operators: tuple[OperatorTime, ...]
    delegated_percent: Annotated[float | None, Range(0, 100)]
    undelegated: tuple[str, ...]
    samples_ms: Annotated[tuple[float, ...], TIME]

    @property
    def added_bytes(self) -> int | None:
        """The memory that the file adds to what the runtime already held; None if it was not measured."""
        return None if self.peak_bytes is None or self.runtime_bytes is None else self.peak_bytes - self.runtime_bytes

    @property
    def speed_interval(self) -> Interval | None:
        """The 95 % interval of its speed, as a multiple of the original's; None for too few rounds."""
        return (1 / self.ratio_interval[1], 1 / self.ratio_interval[0]) if self.ratio_interval else None

    @property
    def reduction_interval_percent(self) -> Interval | None:
        """The 95 % interval of ``reduction_percent``; None if there were too few rounds for one."""
        if self.ratio_interval is None:
            return None
        low, high = self.ratio_interval
        return (1 - high) * 100, (1 - low) * 100


@dataclass(frozen=True)
class Unmeasured:
    """A file that could not be measured, and the reason.

    ``threads`` is the thread count that failed; None if the file was not measured at all.
    """

    format: str
    reason: str
    threads: Annotated[int | None, COUNT]


@dataclass(frozen=True)
class Record:
    """A run of a profile; the first row is the original.

    - ``weights``: ``pretrained``, ``random`` or the file name of a checkpoint, without its folder
    - ``settled``: whether each ratio's interval was within plus or minus ``bound`` of the ratio before
      ``budget_seconds`` were over
    - ``visits``: how many new processes examined each file; 0 in a run of latency only
    - ``took_seconds``: how long the whole run took; None in a record of an older version, which did not save it
    - ``others_load``: the share of all processors that other programs used meanwhile, 0..1
    """

    version: Annotated[int, COUNT]
    model: str
    weights: str
    optimize: str
    host: Host
    threads: Annotated[int, COUNT]
    repeats: Annotated[int, ROUNDS]
    settled: bool
    bound: Annotated[float, Range(1e-6, 1)]
    budget_seconds: Annotated[float | None, Range(1e-6, 1e6)]
    visits: Annotated[int, Range(0, COUNT.largest)]
    took_seconds: Annotated[float | None, Range(1e-6, 1e7)]
    others_load: Annotated[float, Range(0, 1)]
    measured_at: str
    rows: tuple[Row, ...]
    unmeasured: tuple[Unmeasured, ...]

    @cached_property
    def run_id(self) -> str:
        """The name of this run in addresses: 16 hexadecimal digits of the SHA-256 of its content."""
        text = json.dumps(documents.plain(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_name(weights: str) -> str:
    """The name of weights in a record. It leaves out the folder, which is private to the measuring machine."""
    return Path(weights).name


def trace_name(file: str) -> str:
    """The file name of an artifact's trace."""
    return f"{file}.trace.json"
