"""What one profile found, as it is saved: JSON with a version, so that runs of other machines and times can be read.

``docs/profile-record.md`` says what each field means to whoever reads the files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy_core import documents
from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Interval
from deploy_core.profile.record.doubts import doubts
from deploy_core.profile.record.upgrade import upgraded
from deploy_core.types import OperatorTime

VERSION = 3
MEASURE_AGAIN = "Measure again with 'python -m deploy_core profile'."


@dataclass(frozen=True)
class Host:
    """A machine: ``cores`` are physical, ``cpus`` what the system schedules on; versions of what runs the files."""

    cpu: str
    instructions: tuple[str, ...]
    cores: int | None
    cpus: int
    memory_bytes: int
    machine: str
    system: str
    python: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Throughput:
    """How many pictures a second go through in batches of ``batch``."""

    batch: int
    pictures_per_second: float


@dataclass(frozen=True)
class Scaling:
    """The median of one picture with so many threads; ``rounds`` is None where an older version did not tell."""

    threads: int
    median_ms: float
    interval_ms: Interval | None
    rounds: int | None


@dataclass(frozen=True)
class Row:
    """One artifact, measured.

    - ``samples_ms``: every timed round, in order, one picture at a time; ``median_ms``, ``p95_ms`` and ``spread_ms``
      (between the quartiles) are theirs
    - ``ratio``: the median in that of the original's; ``reduction_percent`` is the tutorial's last column
    - ``median_interval_ms``, ``ratio_interval``: None where there were too few rounds for one
    - ``self_cpu_ms``: the tutorial's figure, from torch's profiler; None where torch does not run the file
    - ``load_ms``, ``first_ms``, ``peak_bytes``: of fresh processes with nothing else in them: reading the file, the
      first answer, and the most memory held; ``runtime_bytes`` is what the runtime held before it read the file
    - ``throughput``: by batch; empty where the format takes one picture at a time
    - ``top1_agreement``, ``cosine``: against the original, on the reference pictures of the build
    - ``operators``: by self time; empty where the runtime does not tell
    - ``delegated_percent``, ``undelegated``: ExecuTorch's operators that the delegate computes, and those it does not
    """

    format: str
    file: str
    bytes: int
    sha256: str
    run_engine: str
    median_ms: float
    median_interval_ms: Interval | None
    p95_ms: float
    spread_ms: float
    ratio: float
    ratio_interval: Interval | None
    reduction_percent: float
    self_cpu_ms: float | None
    load_ms: float
    first_ms: float
    peak_bytes: int
    runtime_bytes: int
    top1_agreement: float
    cosine: float
    disagrees: bool
    throughput: tuple[Throughput, ...]
    scaling: tuple[Scaling, ...]
    operators: tuple[OperatorTime, ...]
    delegated_percent: float | None
    undelegated: tuple[str, ...]
    samples_ms: tuple[float, ...]

    @property
    def added_bytes(self) -> int:
        """The memory that the file adds to what the runtime already held."""
        return self.peak_bytes - self.runtime_bytes

    @property
    def reduction_interval_percent(self) -> Interval | None:
        """The 95 % interval of ``reduction_percent``; None if there were too few rounds for one."""
        if self.ratio_interval is None:
            return None
        low, high = self.ratio_interval
        return (1 - high) * 100, (1 - low) * 100


@dataclass(frozen=True)
class Unmeasured:
    """A file that could not be measured, and why; with so many ``threads``, or at all where None."""

    format: str
    reason: str
    threads: int | None


@dataclass(frozen=True)
class Record:
    """A run: the rows with the original first.

    ``weights`` is ``pretrained``, ``random`` or the name of a checkpoint, without its folder.
    ``settled`` tells whether each ratio's interval came within plus or minus ``bound`` of it before ``budget_seconds``
    were spent; ``visits`` is how many fresh processes examined each file; ``others_load`` is the share of all
    processors that other work took meanwhile, 0..1.
    """

    version: int
    model: str
    weights: str
    optimize: str
    host: Host
    threads: int
    repeats: int
    settled: bool
    bound: float
    budget_seconds: float | None
    visits: int
    others_load: float
    measured_at: str
    rows: tuple[Row, ...]
    unmeasured: tuple[Unmeasured, ...]

    @cached_property
    def key(self) -> str:
        """What this run goes by in addresses: the hash of its content."""
        text = json.dumps(documents.plain(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_name(weights: str) -> str:
    """What a record calls these weights; where a checkpoint lies on the measuring machine is nobody else's business."""
    return Path(weights).name


def trace_name(file: str) -> str:
    """What the trace of an artifact's file is called."""
    return f"{file}.trace.json"


def save(record: Record, path: Path) -> None:
    """Writes a record as JSON, whole or not at all. Raises StorageFailed."""
    documents.write(path, record)


def read(path: Path) -> Record:
    """Reads what ``save`` wrote. Raises InvalidArtifact, as ``parse`` does."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise InvalidArtifact(f"There is no file {path}.", "Name a run that 'profile' saved.") from error


def parse(data: bytes) -> Record:
    """A record from its JSON, of this version or of one that ``older`` knows.

    Raises InvalidArtifact for another version, for missing fields, for what cannot be true, and for what is no record.
    """
    document = upgraded(_document(data))
    version = document.get("version")
    if type(version) is not int:
        raise InvalidArtifact("This is no record of a profile.", MEASURE_AGAIN)
    if version != VERSION:
        raise InvalidArtifact(
            f"This is a record of version {version}, and this app reads version {VERSION}.", MEASURE_AGAIN
        )
    record = documents.structured(document, Record)
    named = {row.format for row in record.rows} | {failed.format for failed in record.unmeasured}
    if not named <= set(FORMATS):
        raise InvalidArtifact("The record names formats that this app does not know.", "Use the same version for both.")
    doubt = next(doubts(record), None)
    if doubt:
        raise InvalidArtifact(
            f"The figures of this record do not fit together: {doubt}.", "Give it as 'profile --json' wrote it."
        )
    return record


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArtifact("This is no JSON document.", "Give a file that 'profile --json' wrote.") from error
    return document if isinstance(document, dict) else {}
