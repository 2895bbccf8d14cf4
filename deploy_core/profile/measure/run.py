"""Profiles the artifacts of a build on this machine: their speed, memory, loading time and operators.

First all take turns in one process (``turns``), with each thread count. Then each is examined in new processes of its
own (``alone``). ``plan`` says how long all of it takes.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy_core import files
from deploy_core.errors import DeployError, InvalidRequest, JobFailed
from deploy_core.formats import FORMATS, NOT_RUN, ORIGINAL
from deploy_core.models.load import find
from deploy_core.processes.local import WorkerProcess
from deploy_core.profile.intervals import MOST_ROUNDS, estimates
from deploy_core.profile.measure import alone, host, isolated, rows
from deploy_core.profile.measure.alone import Examination, Examine
from deploy_core.profile.measure.plan import FURTHER_SHARE, NEW_SECONDS, Plan, inference_seconds, plan
from deploy_core.profile.measure.rounds import Rounds, Until
from deploy_core.profile.measure.turns import Contender
from deploy_core.profile.record.record import VERSION, Record, Scaling, Unmeasured, trace_name, weights_name
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildResult, Event, Progress, part_of, silent

BOUND = 0.02
BUDGET_SECONDS = 60.0
BATCHES = (1, 2, 4, 8)
# A process loads a file and answers for the first time only once, so several processes are needed.
VISITS = 3
NOT_HERE = f"Such a file is {NOT_RUN}."


@dataclass(frozen=True)
class Options:
    """How to measure.

    - ``threads``: the thread counts; the first is for all measurements, the others for ``scaling``; empty for all cores
    - ``batches``: the batch sizes for the throughput
    - ``rounds``: the number of rounds; None to measure until the ratios are within ``bound`` or ``seconds`` are over;
      with a number, ``seconds`` limits only how often each artifact is examined
    - ``seconds``: the time for measuring, with all thread counts; ``plan`` says what comes on top of it
    - ``is_latency_only``: whether to leave out what is measured in new processes: loading, the first answer, memory,
      batches and operators
    - ``traces``: a folder for a Chrome trace of each artifact, None for no traces
    """

    threads: tuple[int, ...] = ()
    batches: tuple[int, ...] = BATCHES
    bound: float = BOUND
    seconds: float = BUDGET_SECONDS
    rounds: int | None = None
    is_latency_only: bool = False
    traces: Path | None = None


@dataclass
class _Session:
    """The state of a profile: the artifacts to measure, and what could not be measured."""

    result: BuildResult
    paths: dict[str, Path]
    settings: Settings
    options: Options
    unmeasured: list[Unmeasured] = field(default_factory=list)

    @property
    def remaining(self) -> list[Artifact]:
        """The artifacts that have not failed, the original first."""
        failed = {gap.format for gap in self.unmeasured if gap.threads is None}
        left = (artifact for artifact in self.result.artifacts if artifact.format not in failed)
        return sorted(left, key=lambda artifact: artifact.format != ORIGINAL.key)

    def exclude(self, failed: Mapping[str, str], threads: int | None = None) -> None:
        self.unmeasured += [Unmeasured(key, reason, threads) for key, reason in failed.items()]


def profile(
    result: BuildResult,
    paths: Mapping[str, Path],
    settings: Settings,
    options: Options | None = None,
    progress: Progress = silent,
) -> Record:
    """Measures every artifact of a build, one picture at a time; the original is the first row.

    ``paths`` has the file of each format. A file that is missing, changed, fails or does not run here is in
    ``unmeasured`` with the reason. Raises InvalidRequest for options out of range, and what the original fails with,
    because nothing is left to compare with.
    """
    options = _checked(options or Options())
    session = _Session(result, dict(paths), settings, options)
    if options.traces:
        files.make_folder(options.traces)
    session.exclude({key: NOT_HERE for artifact in result.artifacts if not FORMATS[key := artifact.format].runs_here})
    _exclude_unsound(session)
    progress = _forward(progress)
    started = time.monotonic()
    planned = _planned(session)
    with host.watched() as load:
        turns, further = _take_turns(session, planned, _step(progress, planned, 0, planned.alone))
        deadline = time.monotonic() + options.seconds if options.rounds else started + planned.total
        visits = _examine_each(session, deadline, _step(progress, planned, planned.total - planned.alone, 0))
    scaling = [rows.points(options.threads[0], turns), *further]
    estimated = estimates(turns.samples)
    measured = tuple(
        rows.row(
            artifact,
            alone.typical(visits[artifact.format]) if visits else None,
            turns.samples[artifact.format],
            estimated[artifact.format],
            [points[artifact.format] for points in scaling if artifact.format in points],
        )
        for artifact in session.remaining
    )
    progress(Event("Done", 1.0))
    return Record(
        version=VERSION,
        model=find(result.model).name,
        weights=weights_name(result.weights),
        optimize=result.optimize,
        host=host.describe(),
        threads=options.threads[0],
        repeats=len(measured[0].samples_ms),
        settled=turns.settled,
        bound=options.bound,
        budget_seconds=None if options.rounds else options.seconds,
        visits=len(visits.get(ORIGINAL.key, ())),
        took_seconds=time.monotonic() - started,
        others_load=load.others,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        rows=measured,
        unmeasured=tuple(session.unmeasured),
    )


def _checked(options: Options) -> Options:
    cores = host.usable_cpus()
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


def _exclude_unsound(session: _Session) -> None:
    """Excludes files that are gone or changed. Raises JobFailed for the original."""
    for artifact in session.remaining:
        path = session.paths[artifact.format]
        if not path.is_file():
            error = JobFailed(f"{path.name} is gone.", "Build it again.")
        elif files.sha256(path) != artifact.sha256:
            error = JobFailed(f"{path.name} is not what was built.", "Build it again.")
        else:
            continue
        if artifact.format == ORIGINAL.key:
            raise error
        session.exclude({artifact.format: str(error)})


def _forward(progress: Progress) -> Progress:
    """Progress that never goes back, also if a part is measured again."""
    farthest = 0.0

    def tell(event: Event) -> None:
        nonlocal farthest
        farthest = max(farthest, event.fraction)
        progress(replace(event, fraction=farthest))

    return tell


def _planned(session: _Session) -> Plan:
    options, spec = session.options, find(session.result.model)
    return plan(
        len(session.remaining),
        inference_seconds(spec),
        options.seconds,
        len(options.threads),
        options.is_latency_only,
    )


def _step(progress: Progress, planned: Plan, before: float, after: float) -> Progress:
    """The progress of a part of the plan, from the seconds before and after it."""
    return part_of(progress, before / planned.total, 1 - after / planned.total)


def _take_turns(session: _Session, planned: Plan, progress: Progress) -> tuple[Rounds, list[dict[str, Scaling]]]:
    """Times the files with the first thread count, and the points of ``scaling`` with the others.

    One process does it all, because importing the runtimes takes seconds.
    """
    options = session.options
    process = WorkerProcess(isolated.NAME, session.settings)
    share = 1 - planned.further / (planned.total - planned.alone)
    try:
        until = Until(options.bound, planned.rounds, options.rounds)
        turns = _time_remaining(session, options.threads[0], until, process, part_of(progress, 0.0, share))
        session.exclude(turns.failed)
        return turns, [*_scale(session, planned, process, part_of(progress, share, 1.0))]
    finally:
        process.close()


def _examine_each(session: _Session, deadline: float, progress: Progress) -> dict[str, list[Examination]]:
    """Examines all files in rounds, so that a slow moment of the machine does not hit one file only.

    Operators and batches are left out after the ``deadline``. Another round begins if it will end before. Nothing at
    all is examined where only the latency is asked for.
    """
    if session.options.is_latency_only:
        return {}
    visits: dict[str, list[Examination]] = {artifact.format: [] for artifact in session.remaining}
    processes = isolated.NewProcesses(session.settings)
    try:
        for visit in range(VISITS):
            began, order = time.monotonic(), session.remaining
            for number, artifact in enumerate(order):
                progress(Event(f"Measuring {FORMATS[artifact.format].title} alone", number / len(order)))
                seconds = (deadline - time.monotonic()) / (len(order) - number)
                try:
                    request = _examination(session, artifact, seconds, is_first=not visit)
                    examined = isolated.examine_isolated(request, processes, len(order) - number)
                    visits[artifact.format].append(examined)
                except DeployError as error:
                    if artifact.format == ORIGINAL.key:
                        raise
                    session.exclude({artifact.format: str(error)})
            now = time.monotonic()
            if now + (now - began) > deadline:
                break
    finally:
        processes.close()
    return visits


def _examination(session: _Session, artifact: Artifact, seconds: float, is_first: bool) -> Examine:
    """The request to examine one file. Only the first visit measures batches and writes the trace.

    ``seconds`` are left for the file; starting its process takes some of them.
    """
    path, options = session.paths[artifact.format], session.options
    trace = options.traces / trace_name(path.name) if options.traces and is_first else None
    return Examine(
        model=session.result.model,
        format=artifact.format,
        path=path,
        batches=options.batches if is_first else (),
        threads=options.threads[0],
        trace=trace,
        seconds=max(0.0, seconds - NEW_SECONDS) if options.rounds is None else None,
    )


def _time_remaining(
    session: _Session, threads: int, until: Until, process: WorkerProcess, progress: Progress
) -> Rounds:
    contenders = {
        artifact.format: Contender(artifact.format, session.paths[artifact.format]) for artifact in session.remaining
    }
    model, limits = session.result.model, session.settings
    return isolated.time_isolated(model, contenders, threads, until, limits, progress, process)


def _without_medians(progress: Progress) -> Progress:
    """Progress that leaves out the medians: those of a further thread count are not the ones to show."""
    return lambda event: progress(replace(event, medians={}))


def _scale(
    session: _Session, planned: Plan, process: WorkerProcess, progress: Progress
) -> Iterator[dict[str, Scaling]]:
    """Times the files with each further thread count. A failure leaves a gap in ``scaling``, and the run goes on."""
    options, counts = session.options, session.options.threads[1:]
    until = Until(options.bound, planned.rounds * FURTHER_SHARE, options.rounds)
    for number, count in enumerate(counts):
        step = part_of(progress, number / len(counts), (number + 1) / len(counts))
        try:
            turns = _time_remaining(session, count, until, process, _without_medians(step))
        except DeployError as error:
            session.exclude({artifact.format: str(error) for artifact in session.remaining}, count)
            continue
        session.exclude(turns.failed, count)
        yield rows.points(count, turns)
