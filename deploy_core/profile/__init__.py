"""How fast each artifact of a build answers on this machine, and at what cost: measurements that a sceptic accepts.

Every artifact is examined in a process of its own; then all of them take turns in one fresh process (``rounds``).
"""

from __future__ import annotations

import datetime
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy_core import documents, files, models
from deploy_core.errors import DeployError, InvalidRequest, JobFailed
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.processes import Task, WorkerProcess
from deploy_core.profile import host, record
from deploy_core.profile.alone import Examination
from deploy_core.profile.intervals import Estimate, estimates
from deploy_core.profile.record import Record, Row, Scaling, Unmeasured
from deploy_core.profile.rounds import MOST_ROUNDS, Rounds, Until
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildResult, Event, Progress, part_of, silent

BOUND = 0.02
BUDGET_SECONDS = 60.0
BATCHES = (1, 2, 4, 8)
# How much of the budget each further thread count may take.
SCALING_SHARE = 0.25


@dataclass(frozen=True)
class Options:
    """``threads``: the counts to measure with, the first for everything; all cores where empty.

    ``rounds`` fixes their number; otherwise they go on until the ratios are known to ``bound``, or ``seconds`` are
    spent, and a quarter of that for each further thread count. ``traces`` is a folder for a Chrome trace of each
    artifact, None for none.
    """

    threads: tuple[int, ...] = ()
    batches: tuple[int, ...] = BATCHES
    bound: float = BOUND
    seconds: float = BUDGET_SECONDS
    rounds: int | None = None
    traces: Path | None = None


@dataclass
class _Session:
    """One profile under way: who is still in, and why others are not."""

    result: BuildResult
    paths: dict[str, Path]
    settings: Settings
    options: Options
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def remaining(self) -> dict[str, tuple[str, str]]:
        """Format and path of each contender, by its name, which is its format's too."""
        return {key: (key, str(path)) for key, path in self.paths.items() if key not in self.failed}


def profile(
    result: BuildResult,
    paths: Mapping[str, Path],
    settings: Settings,
    options: Options | None = None,
    progress: Progress = silent,
) -> Record:
    """Measures every artifact of a build, one picture at a time; the original is the first row.

    ``paths`` tells where each format's file lies. A file that vanished, is not what was built, or fails gets no row but
    a reason. Raises InvalidRequest for numbers that make no sense, and what the original fails with, because without it
    there is nothing to compare with.
    """
    options = _checked(options or Options())
    order = sorted(result.artifacts, key=lambda artifact: artifact.format != ORIGINAL.key)
    session = _Session(result, {artifact.format: paths[artifact.format] for artifact in order}, settings, options)
    if options.traces:
        files.make_folder(options.traces)
    with host.watched() as load:
        examined = _examine_each(session, order, part_of(progress, 0.0, 0.4))
        until = Until(options.bound, options.seconds, options.rounds)
        turns = _take_turns(session, options.threads[0], until, part_of(progress, 0.4, 0.9))
        session.failed |= turns.failed
        scaling = {options.threads[0]: turns}
        for number, count in enumerate(options.threads[1:]):
            step = 0.1 / len(options.threads[1:])
            begun = 0.9 + number * step
            few = Until(options.bound, options.seconds * SCALING_SHARE, options.rounds)
            scaling[count] = _take_turns(session, count, few, part_of(progress, begun, begun + step))
    found = estimates(turns.samples)
    rows = tuple(
        _row(artifact, examined[artifact.format], turns.samples[artifact.format], found[artifact.format], scaling)
        for artifact in order
        if artifact.format in found
    )
    progress(Event("Done", 1.0))
    return Record(
        version=record.VERSION,
        model=models.find(result.model).name,
        weights=record.weights_name(result.weights),
        optimize=result.optimize,
        host=host.describe(),
        threads=options.threads[0],
        repeats=len(rows[0].samples_ms),
        settled=turns.settled,
        bound=options.bound,
        budget_seconds=None if options.rounds else options.seconds,
        others_load=load.others,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        rows=rows,
        unmeasured=tuple(Unmeasured(key, reason) for key, reason in session.failed.items()),
    )


def _checked(options: Options) -> Options:
    cores = os.cpu_count() or 1
    threads = tuple(dict.fromkeys(options.threads)) or (cores,)
    wrong = [count for count in threads if not 1 <= count <= cores]
    if wrong:
        raise InvalidRequest(
            f"{wrong[0]} threads do not fit this machine's {cores} processors.", f"Ask for 1 to {cores}."
        )
    if any(batch < 1 for batch in options.batches):
        raise InvalidRequest(f"A batch of {min(options.batches)} holds no picture.", "Ask for 1 or more.")
    if options.rounds is not None and not 1 <= options.rounds <= MOST_ROUNDS:
        raise InvalidRequest(f"{options.rounds} repeats cannot be measured.", f"Ask for 1 to {MOST_ROUNDS}.")
    if not 0 < options.seconds < math.inf:
        raise InvalidRequest(f"{options.seconds:g} seconds measure nothing.", "Give a number above 0.")
    return replace(options, threads=threads)


def _examine_each(session: _Session, artifacts: Sequence[Artifact], progress: Progress) -> dict[str, Examination]:
    examined = {}
    for number, artifact in enumerate(artifacts):
        title = FORMATS[artifact.format].title
        progress(Event(f"Examining {title}", number / len(artifacts)))
        try:
            examined[artifact.format] = _examine(session, artifact)
        except DeployError as error:
            if artifact.format == ORIGINAL.key:
                raise
            session.failed[artifact.format] = str(error)
    return examined


def _examine(session: _Session, artifact: Artifact) -> Examination:
    path, options = session.paths[artifact.format], session.options
    if not path.is_file():
        raise JobFailed(f"{path.name} is gone.", "Build it again.")
    if files.sha256(path) != artifact.sha256:
        raise JobFailed(f"{path.name} is not what was built.", "Build it again.")
    trace = options.traces / f"{path.name}.trace.json" if options.traces else None
    found = _in_a_fresh_process(
        session,
        "examine",
        {
            "model": session.result.model,
            "format": artifact.format,
            "path": str(path),
            "batches": options.batches,
            "threads": options.threads[0],
            "trace": str(trace) if trace else None,
        },
    )
    return documents.structured(found, Examination)


def _take_turns(session: _Session, threads: int, until: Until, progress: Progress) -> Rounds:
    request = {
        "model": session.result.model,
        "contenders": session.remaining,
        "threads": threads,
        "until": documents.plain(until),
    }
    return documents.structured(_in_a_fresh_process(session, "take_turns", request, progress), Rounds)


def _in_a_fresh_process(
    session: _Session, kind: str, request: dict[str, object], progress: Progress = silent
) -> object:
    process = WorkerProcess("measuring process", session.settings)
    try:
        handle = process.submit(Task(kind, request))
        for event in handle.events():
            progress(event)
        return handle.result()
    finally:
        process.close()


def _row(
    artifact: Artifact,
    examined: Examination,
    samples: tuple[float, ...],
    estimate: Estimate,
    scaling: Mapping[int, Rounds],
) -> Row:
    import numpy as np

    row = FORMATS[artifact.format]
    lower, upper, p95 = (float(value) for value in np.percentile(samples, (25, 75, 95)))
    return Row(
        format=artifact.format,
        file=artifact.file,
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        run_engine=row.run_engine(),
        median_ms=estimate.median,
        median_interval_ms=estimate.median_interval,
        p95_ms=p95,
        spread_ms=upper - lower,
        ratio=estimate.ratio,
        ratio_interval=estimate.ratio_interval,
        reduction_percent=(1 - estimate.ratio) * 100,
        self_cpu_ms=sum(operator.self_ms for operator in examined.operators) if row.runs_in_torch else None,
        load_ms=examined.load_ms,
        first_ms=examined.first_ms,
        peak_bytes=examined.peak_bytes,
        runtime_bytes=examined.runtime_bytes,
        top1_agreement=artifact.faithfulness.top1_agreement,
        cosine=artifact.faithfulness.cosine,
        disagrees=artifact.disagrees,
        throughput=examined.throughput,
        scaling=tuple(
            Scaling(count, statistics.median(rounds.samples[artifact.format]))
            for count, rounds in sorted(scaling.items())
            if artifact.format in rounds.samples
        ),
        operators=examined.operators,
        delegated_percent=artifact.delegation.percent if artifact.delegation else None,
        undelegated=artifact.delegation.undelegated if artifact.delegation else (),
        samples_ms=samples,
    )
