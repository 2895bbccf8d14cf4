"""``profile``: times the files of a build side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy_core import build, documents
from deploy_core.cli.outcome import EXIT_INCOMPLETE, Outcome, table
from deploy_core.cli.progress import each_percent
from deploy_core.formats import FORMATS
from deploy_core.profile.measure.run import BATCHES, BUDGET_SECONDS, Options, profile
from deploy_core.profile.record.record import Row
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.verdict import headlines, tables, verdicts
from deploy_core.settings import Settings

SUMMARY = "Time the artifacts of a build side by side."
OPERATORS_SHOWN = 12


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", type=Path, metavar="DIR", help="a folder that 'build' wrote")
    sub.add_argument("--budget", type=float, default=BUDGET_SECONDS, metavar="SECONDS", help="time for latency (60)")
    sub.add_argument("--latency-only", action="store_true", help="leave out memory, loading, operators and batches")
    sub.add_argument("--repeats", type=int, help="exactly so many rounds, instead of until the ratios are known")
    sub.add_argument("--threads", type=_numbers, default=(), metavar="N,N", help="the first for everything (all cores)")
    sub.add_argument("--batch", type=_numbers, default=BATCHES, metavar="N,N", help="batches (1,2,4,8)")
    sub.add_argument("--operators", action="store_true", help="print where the time goes inside each file")
    sub.add_argument("--trace", type=Path, metavar="DIR", help="write a Chrome trace of each file there")
    sub.add_argument("--save", action="store_true", help="keep the run where the app shows it")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    result = build.read_result(options.folder)
    paths = {artifact.format: options.folder / artifact.file for artifact in result.artifacts}
    asked = Options(
        threads=options.threads,
        batches=options.batch,
        seconds=options.budget,
        rounds=options.repeats,
        is_latency_only=options.latency_only,
        traces=options.trace,
    )
    run = profile(result, paths, limits, asked, each_percent())
    text = f"{headlines.speed(run).text}.\n\n{table(tables.HEAD, tables.cells(run))}\n\n"
    text += table(tables.rates_head(run), tables.rates(run))
    text += "\n".join(["\n", tables.host_line(run), verdicts.certainty(run), *tables.unmeasured(run)])
    if options.operators:
        text += "".join(f"\n\n{_operators(row)}" for row in run.rows)
    if options.save:
        print(f"Saved as run {Runs(limits).keep(run, options.trace)}.", file=sys.stderr)
    return (
        documents.plain(run),
        text,
        EXIT_INCOMPLETE if any(FORMATS[gap.format].runs_here for gap in run.unmeasured) else 0,
    )


def _operators(row: Row) -> str:
    title = FORMATS[row.format].title
    if not row.operators:
        delegated = "" if row.delegated_percent is None else f" Its delegate has {row.delegated_percent:.0f} % of them."
        return f"{title}: its runtime does not tell the time of its operators.{delegated}"
    lines = [
        (operator.name, operator.group, f"{operator.self_ms:.3f} ms", f"{operator.calls:g}")
        for operator in row.operators[:OPERATORS_SHOWN]
    ]
    return table((title, "Kind", "Self time", "Calls"), lines)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers such as 1,2,4") from error
