"""Jobs on a page: submitted, and followed until they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from deploy_core.processes.job import FINISHED, Job, State, job_name
from deploy_core.processes.jobs import LEAST_FRACTION_FOR_ESTIMATE
from deploy_core.processes.task import Task
from pages.parts import notices, text
from pages.parts.text import escaped
from pages.state import services, session


def submit(task: Task[Any]) -> None:
    """Queues a task for this session. Raises QueueFull, StorageFailed."""
    services.jobs().submit(task, session.requester())


def follow(task: Task[Any], draw: Callable[[Job], None] = lambda _: None) -> Job | None:
    """The task's job, or None; draws its progress while it waits or runs, or why it failed.

    ``draw`` draws what the job knows already. None also if this visitor cancelled the job while others still wait for
    it.
    """
    job = services.jobs().look(job_name(task))
    if job is None or (job.state not in FINISHED and not services.jobs().join(job.name, session.requester())):
        return None
    if job.error is not None:
        notices.show(job.error)
    if job.state not in FINISHED:
        _follow(job.name, draw)
    return job


def is_unfinished(job: Job | None) -> bool:
    return job is not None and job.state not in FINISHED


@st.fragment(run_every=0.5)
def _follow(name: str, draw: Callable[[Job], None]) -> None:
    job = services.jobs().look(name)
    if job is None or job.state in FINISHED:
        st.rerun()
    st.progress(job.fraction, text=_progress(job))
    if st.button("Cancel", icon=":material/close:", key=f"cancel-{name}"):
        is_over = services.jobs().cancel(name, session.requester())
        st.toast("Cancelled." if is_over else "Cancelled. Others still wait for it.", icon=":material/cancel:")
        st.rerun()
    draw(job)


def _progress(job: Job) -> str:
    if job.state is State.WAITING:
        return f"Waiting: {job.ahead} {'job is' if job.ahead == 1 else 'jobs are'} before yours …"
    if not job.stage:
        return "Starting the worker …"
    if job.remaining_seconds is not None:
        left = f"about {text.duration(job.remaining_seconds)} left"
    elif job.fraction < LEAST_FRACTION_FOR_ESTIMATE:
        left = f"{text.duration(job.elapsed_seconds)} so far"
    else:
        left = "longer than expected"
    return f"{escaped(job.stage)} … {left}"
