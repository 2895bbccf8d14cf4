"""``compare``: compares two runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy_core import files
from deploy_core.cli import paths
from deploy_core.cli.outcome import Outcome, table
from deploy_core.formats import FORMATS
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.record.saved import read_record
from deploy_core.profile.verdict import compare
from deploy_core.settings import Settings

SUMMARY = "Compare two runs: two machines, or before and after."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "first", type=paths.name_or_path, metavar="RUN", help="what 'profile --json' wrote, or the name of a saved run"
    )
    sub.add_argument("second", type=paths.name_or_path, metavar="RUN")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    first, second = (_run(name, limits) for name in (options.first, options.second))
    found = compare.compare(first, second)
    lines = [
        (
            FORMATS[change.format].title,
            f"{change.first.median_ms:.2f} ms",
            f"{change.second.median_ms:.2f} ms",
            change.ratio_text,
            f"{change.relative_ratio:.2f} x",
            change.text,
        )
        for change in found.changes
    ]
    head = ("Model", "First run", "Second run", "Second / first", "Against its original", "Result")
    document = {
        "first": found.first.run_id,
        "second": found.second.run_id,
        "same_files": found.same_files,
        "same_host": found.same_host,
        "left_out": found.left_out,
        "changes": [
            {
                "format": change.format,
                "first_ms": change.first.median_ms,
                "second_ms": change.second.median_ms,
                "ratio": change.ratio,
                "interval": change.interval,
                "relative_ratio": change.relative_ratio,
                "is_tie": change.is_tie,
                "finding": change.outcome.value,
            }
            for change in found.changes
        ],
    }
    return document, f"{found.text}\n\n{table(head, lines)}", 0


def _run(name: str, limits: Settings) -> Record:
    """A run from its file, or by its key among the saved runs."""
    path = Path(name)
    return read_record(path) if files.is_file(path) else Runs(limits).get(name)
