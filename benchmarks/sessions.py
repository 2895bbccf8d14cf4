"""Sixty visitors at once. Each looks at ten pictures, with a few seconds between them.

python -m benchmarks.sessions    against the real server, over the websockets that browsers use

A second crowd asks the model with random weights, whose answers do not ship, so each picture costs an inference.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.figure import Figure, together
from tests.browser.app import Server, serving
from tests.browser.visitor import SAMPLES, Visitor

VISITORS = 60
PICTURES = 10
THOUGHT_SECONDS = (2.0, 5.0)
MOST_SLOWER = 10.0
MOST_MB = 2.0
# What the model and the caches of shipped pictures may take.
MOST_LEFT_MB = 15.0
CROWDS = {"shipped answers": "", "an inference each": "weights=random"}
# Longer than Streamlit keeps a session whose browser has gone.
FORGOTTEN_SECONDS = 150


def figures() -> list[Figure]:
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as place, serving(Path(place)) as server:
        with Visitor(server) as first:
            first.look()
        before = together(server.process.pid)
        peak = before
        for name, query in CROWDS.items():
            figures, most = _crowd(server, name, query)
            found += figures
            peak = max(peak, most)
        time.sleep(FORGOTTEN_SECONDS)
        # Streamlit deletes the sessions of visitors who left when the next visitor comes.
        with Visitor(server) as last:
            last.look()
            time.sleep(5)
            after = together(server.process.pid)
    print(f"{before:.0f} MB before, {peak:.0f} MB at most, {after:.0f} MB after", file=sys.stderr)
    return [
        *found,
        Figure("memory that a visitor takes", (peak - before) / VISITORS, MOST_MB, "MB"),
        Figure("memory that stays when all have left", after - before, MOST_LEFT_MB, "MB"),
    ]


def _crowd(server: Server, name: str, query: str) -> tuple[list[Figure], float]:
    """The figures of one crowd, and the most memory of all the server's processes, in megabytes."""
    with Visitor(server, query=query) as alone:
        alone.look()
        single = statistics.median(alone.look(SAMPLES[number % 4]) for number in range(PICTURES))
    times: list[float] = []
    errors: list[str] = []
    visits = [
        threading.Thread(target=_visit, args=(server, number, query, times, errors)) for number in range(VISITORS)
    ]
    for visit in visits:
        visit.start()
    most = 0.0
    while any(visit.is_alive() for visit in visits):
        most = max(most, together(server.process.pid))
        time.sleep(1)
    slowest = statistics.quantiles(times, n=20)[-1]
    print(
        f"{name}: alone {single:.2f} s; {VISITORS} at once: median {statistics.median(times):.2f} s, "
        f"p95 {slowest:.2f} s",
        file=sys.stderr,
    )
    for error in errors[:5]:
        print(error, file=sys.stderr)
    return [
        Figure(f"errors that {VISITORS} visitors at once saw, {name}", len(errors), 0, "runs"),
        Figure(f"p95 of {VISITORS} at once against one alone, {name}", slowest / single, MOST_SLOWER, "x"),
    ], most


def _visit(server: Server, number: int, query: str, times: list[float], errors: list[str]) -> None:
    thought = random.Random(number)  # noqa: S311
    time.sleep(thought.uniform(0, THOUGHT_SECONDS[1]))
    try:
        with Visitor(server, query=query) as visitor:
            times.append(visitor.look())
            for step in range(PICTURES - 1):
                time.sleep(thought.uniform(*THOUGHT_SECONDS))
                times.append(visitor.look(SAMPLES[(number + step) % 4]))
            errors.extend(visitor.errors)
    except (OSError, TimeoutError) as error:
        errors.append(repr(error))


if __name__ == "__main__":
    for figure in figures():
        print(figure.line())
