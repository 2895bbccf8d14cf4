"""The time from starting the app to the first answer of the embedded model, with its files in the system's cache.

python -m benchmarks.start
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure
from tests.browser.app import serving
from tests.browser.visitor import Visitor

STARTS = 3
MOST_SECONDS = 8


def figures() -> list[Figure]:
    # The first start fills the cache, and does not count.
    seconds = [_first_answer() for _ in range(STARTS + 1)][1:]
    return [
        Figure("start of the app to the first answer", statistics.median(seconds) * 1000, MOST_SECONDS * 1000, "ms")
    ]


def _first_answer() -> float:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place, serving(Path(place)) as server, Visitor(server) as visitor:
        visitor.look()
        if visitor.errors:
            raise RuntimeError(visitor.errors[0])
        return time.perf_counter() - started


if __name__ == "__main__":
    for figure in figures():
        print(figure.line())
