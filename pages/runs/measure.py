"""Asks for a profile: how long it may measure, how long all of it takes, and what is known while it runs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from deploy_core import settings
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.processes.job import Job
from deploy_core.profile.measure.build_and_measure import Profile, planned_seconds
from deploy_core.profile.record.record import Record
from deploy_core.profile.words import about, counted
from deploy_core.types import BuildRequest
from pages.parts import progress
from pages.runs.files import COLUMNS
from pages.state import services

BUDGETS = {"10 seconds": 10.0, "30 seconds": 30.0, "2 minutes": 120.0}
USUAL_BUDGET = "30 seconds"


def draw(request: BuildRequest, past: Record | None) -> bool:
    """Draws the choices, and the button that measures what is built of ``request``, or builds all of it first; below it
    the progress of a profile of this model, with the medians so far.

    ``past`` is the newest run of the model here. Returns whether a profile is under way.
    """
    built = services.store().find(request)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Time to measure latency",
            BUDGETS,
            default=USUAL_BUDGET,
            required=True,
            key="budget",
            help="It ends earlier when every ratio is known to ±2 %. A fifth of it is for one thread.",
        )
        st.toggle(
            "Latency only",
            key="latency_only",
            help="Leaves out loading, the first answer, memory, operators and batches, which take a new process for "
            "each file.",
        )
    task = _task(_measured(request))
    seconds = planned_seconds(services.store(), task, settings.load(), past).total
    what = f"Profile {counted(len(built), 'file')}" if len(built) > 1 else "Build and profile"
    button = st.empty()
    is_running = progress.is_unfinished(progress.follow(_followed(_measured(request)), _draw_medians))
    if button.button(
        f"{what} on this server{' again' if past else ''}: {about(seconds)}",
        type="secondary" if past else "primary",
        icon=":material/speed:",
        key="profile",
        disabled=is_running,
    ):
        st.query_params.pop("run", None)
        st.session_state["profiling"] = task
        # Records tell seconds.
        st.session_state["profile_asked"] = datetime.now(UTC).replace(microsecond=0)
        progress.submit(task)
        st.rerun()
    missing = [FORMATS[key].title for key in request.formats if key not in built]
    if len(built) > 1 and missing:
        st.caption(f"Not built yet, so not measured: {'; '.join(missing)}.")
    return is_running


def _measured(request: BuildRequest) -> BuildRequest:
    """What the button measures: what is built of the request, or all of it where nothing is."""
    built = services.store().find(request)
    return dataclasses.replace(request, formats=tuple(built)) if len(built) > 1 else request


def _task(build: BuildRequest) -> Profile:
    """The profile that the button asks for. Its choices may be drawn below what this decides."""
    seconds = BUDGETS[st.session_state.get("budget") or USUAL_BUDGET]
    return Profile(build, seconds, st.session_state.get("latency_only", False))


def _followed(build: BuildRequest) -> Profile:
    """The last profile of this model that this visitor asked for; else the one that the button would ask for.

    The visitor may have built or chosen something else since they asked.
    """
    task: Profile | None = st.session_state.get("profiling")
    return task if task and task.build.choice == build.choice else _task(build)


def _draw_medians(job: Job) -> None:
    if ORIGINAL.key not in job.medians:
        return
    original = job.medians[ORIGINAL.key]
    lines = [
        {"File": FORMATS[key].title, "Median latency": median, "Times as fast": original / median}
        for key, median in sorted(job.medians.items(), key=lambda pair: pair[1])
    ]
    st.caption("So far; more rounds will change these figures:")
    st.dataframe(pd.DataFrame(lines), hide_index=True, column_config=COLUMNS, width="content")
