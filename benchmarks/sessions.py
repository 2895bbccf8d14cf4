"""Twenty visitors at once. Each looks at ten pictures, with a few seconds between them.

python -m benchmarks.sessions    against the real server, over the websockets that browsers use
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
from tests.browser.visitor import Visitor

VISITORS = 20
PICTURES = 10
THOUGHT_SECONDS = (2.0, 5.0)
MOST_SLOWER = 20.0
MOST_MB = 15.0
SAMPLES = ("Coffee", "Rocket", "Astronaut", "Cat")
# Longer than Streamlit keeps a session whose browser has gone.
FORGOTTEN_SECONDS = 150


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place, serving(Path(place)) as server:
        with Visitor(server) as alone:
            alone.look()
            single = statistics.median(alone.look(SAMPLES[number % 4]) for number in range(PICTURES))
        before = together(server.process.pid)
        times: list[float] = []
        errors: list[str] = []
        visits = [threading.Thread(target=_visit, args=(server, number, times, errors)) for number in range(VISITORS)]
        for visit in visits:
            visit.start()
        peak = before
        while any(visit.is_alive() for visit in visits):
            peak = max(peak, together(server.process.pid))
            time.sleep(0.2)
        time.sleep(FORGOTTEN_SECONDS)
        # Streamlit deletes the sessions of visitors who left when the next visitor comes.
        with Visitor(server) as last:
            last.look()
            time.sleep(5)
            after = together(server.process.pid)
    slowest = statistics.quantiles(times, n=20)[-1]
    print(
        f"alone {single:.2f} s; {VISITORS} at once: median {statistics.median(times):.2f} s, p95 {slowest:.2f} s; "
        f"{before:.0f} MB before, {peak:.0f} MB at most, {after:.0f} MB after",
        file=sys.stderr,
    )
    for error in errors[:5]:
        print(error, file=sys.stderr)
    return [
        Figure(f"errors that {VISITORS} visitors at once saw", len(errors), 0, "runs"),
        Figure(
            f"p95 of {VISITORS} visitors at once, against the median of one alone", slowest / single, MOST_SLOWER, "x"
        ),
        Figure("memory that a visitor takes", (peak - before) / VISITORS, MOST_MB, "MB"),
        Figure("memory that stays when all have left", after - before, MOST_MB, "MB"),
    ]


def _visit(server: Server, number: int, times: list[float], errors: list[str]) -> None:
    thought = random.Random(number)  # noqa: S311
    time.sleep(thought.uniform(0, THOUGHT_SECONDS[1]))
    try:
        with Visitor(server) as visitor:
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
