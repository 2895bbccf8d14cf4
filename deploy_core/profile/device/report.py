"""What a visitor's own device measured: a report that the page "On your device" writes and sends.

A stranger can send anything, so every value is checked. ``docs/on-your-device.md`` documents the fields, and what a
browser cannot know.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from deploy_core import documents
from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS
from deploy_core.profile.words import counted
from deploy_core.ranges import Range, out_of_range

KIND = "device"
VERSION = 1
LARGEST_REPORT = 500_000
LONGEST_TEXT = 300
MOST_ROWS = 24
MOST_ROUNDS = 1_000
MOST_THREADS = 1_024
# In milliseconds: up to an hour.
TIME = Range(0, 3_600_000)
# The finest step of a browser's clock is a microsecond.
SAMPLE = Range(0.001, TIME.largest)
DIFFERENCE = Range(0, 1e6)
THREADS = Range(1, MOST_THREADS)
BACKENDS = {"wasm": "WebAssembly", "webgpu": "WebGPU"}
IN_BROWSERS = tuple(key for key, row in FORMATS.items() if row.runs_in_client)
# Of the logits on the device and on the server for one input: kernels for int8 round differently.
LEAST_COSINE = {"float32": 0.9999, "int8": 0.999}
SHA256 = re.compile("[0-9a-f]{64}")
# The format of JavaScript's toISOString.
MEASURED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
GIVE = "Give a file that the page 'On your device' wrote."


@dataclass(frozen=True)
class Device:
    """The device as its browser reports it; None or empty for a value that the browser hides."""

    browser: str
    system: str
    model: str
    cores: Annotated[int | None, THREADS]
    memory_gb: Annotated[float | None, Range(1e-9, 1024)]
    gpu: str
    secure: bool
    isolated: bool


@dataclass(frozen=True)
class LogitComparison:
    """The device's logits compared with the server's, on the same input.

    ``input_difference`` is the largest difference between the inputs that each computed from the picture.
    """

    cosine: Annotated[float, Range(-1.000001, 1.000001)]
    max_abs_difference: Annotated[float, DIFFERENCE]
    same_top1: bool
    input_difference: Annotated[float, DIFFERENCE]


@dataclass(frozen=True)
class DeviceRow:
    """One file on one backend. ``download_ms`` is None if the file was not downloaded as a whole first."""

    format: str
    bytes: Annotated[int, Range(1, 2**34)]
    sha256: str
    backend: str
    threads: Annotated[int, THREADS]
    download_ms: Annotated[float | None, TIME]
    runtime_ms: Annotated[float, TIME]
    load_ms: Annotated[float, TIME]
    first_ms: Annotated[float, TIME]
    samples_ms: Annotated[tuple[float, ...], SAMPLE]
    discarded: Annotated[int, Range(0, MOST_ROUNDS)]
    compared: LogitComparison | None

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
        """How the answer differs from the server's, in a few words; empty if it does not, or was not compared."""
        compared = self.compared
        if compared is None:
            return ""
        if not compared.same_top1:
            return "another class"
        least = LEAST_COSINE["int8" if FORMATS[self.format].is_int8 else "float32"]
        return f"logits with a cosine of {compared.cosine:.4f} only" if compared.cosine < least else ""

    def _quantile(self, share: float) -> float:
        """numpy's quantile, computed without importing numpy, because a page may list many reports."""
        values = sorted(self.samples_ms)
        place = share * (len(values) - 1)
        below, above = values[math.floor(place)], values[math.ceil(place)]
        return below + (above - below) * (place - math.floor(place))


@dataclass(frozen=True)
class Failure:
    """A file that a backend could not run, and the reason."""

    format: str
    backend: str
    threads: Annotated[int, THREADS]
    reason: str


@dataclass(frozen=True)
class Report:
    """The measurements of one model on one device."""

    kind: str
    version: Annotated[int, Range(VERSION, VERSION)]
    model: str
    weights: str
    runtime: str
    device: Device
    measured_at: str
    rows: tuple[DeviceRow, ...]
    failures: tuple[Failure, ...]

    @cached_property
    def report_id(self) -> str:
        """The name of this report in addresses: 16 hexadecimal digits of the SHA-256 of its content."""
        text = json.dumps(documents.plain(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The device in a few words."""
        return f"{self.device.browser} on {self.device.model or self.device.system}"


def is_report(data: bytes) -> bool:
    """Whether a JSON document claims to be the report of a device, which ``parse`` reads."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def parse(data: bytes) -> Report:
    """A report from its JSON. Raises InvalidArtifact for values that no device can have measured."""
    if len(data) > LARGEST_REPORT:
        raise InvalidArtifact("This is too large for the report of a device.", GIVE)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArtifact("This is not a JSON document.", GIVE) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InvalidArtifact("This is not the report of a device.", GIVE)
    if document.get("version") != VERSION:
        raise InvalidArtifact(
            f"This report is not of version {VERSION}, which this app reads.", "Measure again on the device."
        )
    report = documents.structured(document, Report)
    is_possible = next(out_of_range(report, _is_plain_text), None) is None
    if not (is_possible and _is_consistent(report)):
        raise InvalidArtifact("The figures of this report do not fit together.", GIVE)
    return report


def _is_plain_text(text: str) -> bool:
    return len(text) <= LONGEST_TEXT and text.isprintable()


def _is_consistent(report: Report) -> bool:
    runs = [(row.format, row.backend, row.threads) for row in report.rows]
    runs += [(failure.format, failure.backend, failure.threads) for failure in report.failures]
    return (
        0 < len(report.rows) <= MOST_ROWS
        and len(set(runs)) == len(runs) <= MOST_ROWS
        and all(
            key in IN_BROWSERS and backend in FORMATS[key].client_backends and (backend == "wasm" or threads == 1)
            for key, backend, threads in runs
        )
        and all(0 < len(row.samples_ms) <= MOST_ROUNDS for row in report.rows)
        and all(SHA256.fullmatch(row.sha256) for row in report.rows)
        and _is_time(report.measured_at)
    )


def _is_time(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return MEASURED_AT.fullmatch(text) is not None
