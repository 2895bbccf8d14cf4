"""What a visitor's own device measured: built and sent by the page "On your device", so nothing in it is believed.

``docs/on-your-device.md`` says what each field means, and what a browser cannot tell.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import re
from dataclasses import dataclass
from functools import cached_property

from deploy_core import documents
from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS
from deploy_core.profile.words import counted

KIND = "device"
VERSION = 1
LARGEST_REPORT = 500_000
LONGEST_TEXT = 300
# Between what a clock can tell at best, and an hour.
LEAST_MILLISECONDS, LONGEST_MILLISECONDS = 0.001, 3_600_000.0
LARGEST_FILE = 2**34
LARGEST_DIFFERENCE = 1e6
MOST_ROWS = 24
MOST_ROUNDS = 1_000
MOST_THREADS = 1_024
BACKENDS = {"wasm": "WebAssembly", "webgpu": "WebGPU"}
IN_BROWSERS = tuple(key for key, row in FORMATS.items() if row.runs_in_client)
# Of the logits here and there on one input: kernels for int8 round differently.
LEAST_COSINE = {"float32": 0.9999, "int8": 0.999}
SHA256 = re.compile("[0-9a-f]{64}")
# As JavaScript's toISOString writes it.
MEASURED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
GIVE = "Give a file that the page 'On your device' wrote."


@dataclass(frozen=True)
class Device:
    """What the browser tells of itself; None and empty where it does not."""

    browser: str
    system: str
    model: str
    cores: int | None
    memory_gb: float | None
    gpu: str
    secure: bool
    isolated: bool


@dataclass(frozen=True)
class Comparison:
    """``cosine`` and ``max_abs_difference`` are of the logits, the device's against the server's, on one input."""

    cosine: float
    max_abs_difference: float
    same_top1: bool
    input_difference: float


@dataclass(frozen=True)
class DeviceRow:
    """One file on one backend. ``download_ms`` is None where no whole download was timed in front."""

    format: str
    bytes: int
    sha256: str
    backend: str
    threads: int
    download_ms: float | None
    runtime_ms: float
    load_ms: float
    first_ms: float
    samples_ms: tuple[float, ...]
    discarded: int
    compared: Comparison | None

    @property
    def median_ms(self) -> float:
        return self._quantile(0.5)

    @property
    def p95_ms(self) -> float:
        return self._quantile(0.95)

    @property
    def start_ms(self) -> float:
        """The time to load the runtime and then the file."""
        return self.runtime_ms + self.load_ms

    @property
    def runs_on(self) -> str:
        threads = f", {counted(self.threads, 'thread')}" if self.backend == "wasm" else ""
        return f"{BACKENDS[self.backend]}{threads}"

    @property
    def disagreement(self) -> str:
        """In a few words how the answer differs from the server's; empty where it does not, or nobody knows."""
        found = self.compared
        if found is None:
            return ""
        if not found.same_top1:
            return "another class"
        least = LEAST_COSINE["int8" if FORMATS[self.format].is_int8 else "float32"]
        return f"logits with a cosine of {found.cosine:.4f} only" if found.cosine < least else ""

    def _quantile(self, share: float) -> float:
        """As numpy's, without numpy: a page may list many reports."""
        values = sorted(self.samples_ms)
        place = share * (len(values) - 1)
        below, above = values[math.floor(place)], values[math.ceil(place)]
        return below + (above - below) * (place - math.floor(place))


@dataclass(frozen=True)
class Failure:
    """A file that a backend could not run, and why."""

    format: str
    backend: str
    threads: int
    reason: str


@dataclass(frozen=True)
class Report:
    """What one device measured of one model."""

    kind: str
    version: int
    model: str
    weights: str
    runtime: str
    device: Device
    measured_at: str
    rows: tuple[DeviceRow, ...]
    failures: tuple[Failure, ...]

    @cached_property
    def key(self) -> str:
        """What this report goes by in addresses: the hash of its content."""
        text = json.dumps(documents.plain(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The device in a few words."""
        return f"{self.device.browser} on {self.device.model or self.device.system}"


def is_report(data: bytes) -> bool:
    """Whether a JSON document says that it comes from a device, so that ``parse`` is to read it."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def parse(data: bytes) -> Report:
    """A report from its JSON. Raises InvalidArtifact for what no device can have measured."""
    if len(data) > LARGEST_REPORT:
        raise InvalidArtifact("This is too large for the report of a device.", GIVE)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArtifact("This is no JSON document.", GIVE) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InvalidArtifact("This is no report of a device.", GIVE)
    if document.get("version") != VERSION:
        raise InvalidArtifact(
            f"This report is not of version {VERSION}, which this app reads.", "Measure again on the device."
        )
    report = documents.structured(document, Report)
    if not (_is_bounded(report) and all(map(_is_possible, report.rows))):
        raise InvalidArtifact("The figures of this report do not fit together.", GIVE)
    return report


def _is_bounded(report: Report) -> bool:
    device = report.device
    texts = (
        *(report.model, report.weights, report.runtime, report.measured_at),
        *(device.browser, device.system, device.model, device.gpu),
        *(failure.reason for failure in report.failures),
    )
    runs = [(row.format, row.backend, row.threads) for row in report.rows]
    runs += [(failure.format, failure.backend, failure.threads) for failure in report.failures]
    return (
        0 < len(report.rows) <= MOST_ROWS
        and len(set(runs)) == len(runs) <= MOST_ROWS
        and all(len(text) <= LONGEST_TEXT and text.isprintable() for text in texts)
        and all(
            key in IN_BROWSERS and backend in BACKENDS and 0 < threads <= (MOST_THREADS if backend == "wasm" else 1)
            for key, backend, threads in runs
        )
        and (device.cores is None or 0 < device.cores <= MOST_THREADS)
        and (device.memory_gb is None or 0 < device.memory_gb <= MOST_THREADS)
        and _is_time(report.measured_at)
    )


def _is_possible(row: DeviceRow) -> bool:
    times = (row.runtime_ms, row.load_ms, row.first_ms, row.download_ms or 0.0)
    return (
        0 < row.bytes <= LARGEST_FILE
        and SHA256.fullmatch(row.sha256) is not None
        and 0 < len(row.samples_ms) <= MOST_ROUNDS
        and all(0 <= value <= LONGEST_MILLISECONDS for value in times)
        and all(LEAST_MILLISECONDS <= value <= LONGEST_MILLISECONDS for value in row.samples_ms)
        and 0 <= row.discarded <= MOST_ROUNDS
        and (row.compared is None or _is_comparison(row.compared))
    )


def _is_comparison(found: Comparison) -> bool:
    differences = (found.max_abs_difference, found.input_difference)
    return abs(found.cosine) <= 1.000001 and all(0 <= value <= LARGEST_DIFFERENCE for value in differences)


def _is_time(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return MEASURED_AT.fullmatch(text) is not None
