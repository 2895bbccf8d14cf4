"""What several pages draw, and the few objects that all visitors share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deploy_core import embedded, settings
from deploy_core.errors import DeployError
from deploy_core.pictures.pool import Decoders
from deploy_core.processes.jobs import FINISHED, LEAST_FRACTION_FOR_ESTIMATE, Job, Jobs, State, job_name
from deploy_core.processes.line import Waiting
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.profile.device.reports import Reports
from deploy_core.profile.record import record
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.runs import Runs
from deploy_core.storage.store import Store
from deploy_core.storage.uploads import Uploads
from deploy_core.storage.visitors import Visitors, new_name
from deploy_core.worker.client import Abilities, Inference
from deploy_core.worker.intake import Intake, reader_process
from web.sessions import Departures

LINKS = (
    "[Paper](https://arxiv.org/abs/2012.12877) · [Code of the authors](https://github.com/facebookresearch/deit) · "
    "[Tutorial](https://pytorch.org/tutorials/beginner/vt_tutorial.html) · "
    "[iOS demo app](https://github.com/pytorch/ios-demo-app/tree/master/ViT4MNIST) · "
    "[Android demo app](https://github.com/pytorch/android-demo-app/tree/master/ViT4MNIST)"
)


# What Markdown and Streamlit's directives give a meaning to, wherever it stands; and at the start of a line.
MARKS = re.compile(r"[\\`*_{}\[\]<>#|$~:&^]")
BLOCK_START = re.compile(r"^(\d*)([-+=.)])")
# Streamlit makes icons, emoji, links and arrows of text whose marks are escaped already: of ``:cat:``, ``https://``,
# ``www.``, addresses of e-mail, and of ``->`` and the like alone. A word joiner, which nobody sees, keeps each apart.
JOINER = "\N{WORD JOINER}"
MADE_OF_TEXT = re.compile(
    r"(?<=:)(?=[-+\w\\]+:|//|material/)|(?<=www)(?=\.)|(?<=@)(?=\\?[-\w])|(?<=(?<!\S)[-<>~])(?=[-=\\>]+(?!\S))"
    r"|(?<=(?<!\S)\\[-<>~])(?=[-=\\>]+(?!\S))",
    re.IGNORECASE,
)

# Building takes every core; whoever waits for a page comes first.
BEHIND_PAGES = 5
# What a worker may keep from one job to the next: torch and a small model, but not the libraries of every format.
LEFT_BYTES = 900e6


@st.cache_resource(show_spinner=False)
def store() -> Store:
    return Store(settings.load())


@st.cache_resource
def uploads() -> Uploads:
    return Uploads(settings.load())


@st.cache_resource(show_spinner=False)
def runs() -> Runs:
    kept = Runs(settings.load())
    kept.sweep()
    return kept


@st.cache_resource(show_spinner=False)
def reports() -> Reports:
    kept = Reports(settings.load())
    kept.sweep()
    return kept


@st.cache_resource
def shipped_run() -> Record:
    """The embedded model's, measured by this project."""
    return record.read(embedded.SAVED_PROFILE)


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    limits = settings.load()
    workers = [WorkerProcess("worker", limits, BEHIND_PAGES, most_bytes=LEFT_BYTES) for _ in range(limits.builds)]
    return Jobs(limits, workers, store().sweep)


@st.cache_resource(show_spinner=False)
def inference() -> Inference:
    limits = settings.load()
    process = WorkerProcess("inference process", limits, at_once=limits.inferences)
    return Inference(process, decoders(), limits.inferences, limits.answer_seconds)


@st.cache_resource(show_spinner=False)
def decoders() -> Decoders:
    return Decoders(settings.load())


@st.cache_resource(show_spinner=False)
def intake() -> Intake:
    return Intake(reader_process(settings.load()))


@st.cache_resource(show_spinner=False)
def visitors() -> Visitors:
    def forget(visitor: str) -> None:
        jobs().cancel_all(visitor)
        store().forget(visitor)
        runs().forget(visitor)
        reports().forget(visitor)
        inference().forget(visitor)

    return Visitors(settings.load(), forget)


@dataclass(frozen=True)
class Presence:
    """A visitor who brought a model, as long as their browser is connected."""

    visitor: str
    visitors: Visitors

    def end(self) -> None:
        self.visitors.leave(self.visitor)


def visitor() -> str:
    """The name of this session's visitor, which marks what they bring as theirs."""
    name: str = st.session_state.setdefault("visitor", new_name())
    _presence(name)
    return name


@st.cache_resource(scope="session", on_release=Presence.end, show_spinner=False)
def _presence(name: str) -> Presence:
    visitors().arrive(name)
    return Presence(name, visitors())


@st.cache_resource(show_spinner=False)
def departures() -> Departures:
    return Departures(st.get_option("server.disconnectedSessionTTL"))


def note_session() -> None:
    """Remembers this session, so that what it holds is given back once its browser has gone."""
    context = get_script_run_ctx()
    if context:
        departures().note(context.session_id)


def end_what_hangs() -> None:
    """Ends the processes for pages that do nothing any more; a job's is ended by whoever waits for it."""
    for asked in (inference(), intake(), decoders()):
        asked.end_if_stuck()


def close() -> None:
    """Ends all other processes."""
    for asked in (jobs(), inference(), intake(), decoders()):
        asked.close()


def submit(task: Task) -> None:
    """Queues a task for this session. Raises QueueFull, StorageFailed."""
    jobs().submit(task, _session())


def _session() -> str:
    """A name for this session, as the one that asks for jobs; it is no visitor's, and opens nothing."""
    return _asking(st.session_state.setdefault("asks_as", new_name())).name


@dataclass(frozen=True)
class Asking:
    """A session that may ask for jobs, until it ends."""

    name: str
    jobs: Jobs

    def end(self) -> None:
        self.jobs.leave(self.name)


@st.cache_resource(scope="session", on_release=Asking.end, show_spinner=False)
def _asking(name: str) -> Asking:
    return Asking(name, jobs())


@st.cache_resource(show_spinner="Asking torch what it can build here …")
def abilities() -> Abilities:
    return inference().abilities()


def show(error: DeployError) -> None:
    """An error for people: what is wrong, and what to do."""
    st.error(f"**{plain(error.problem)}** {plain(error.remedy)}", icon=":material/error:")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows an error where it happens, so that the rest of the page is still drawn."""
    try:
        yield
    except DeployError as error:
        show(error)


@contextmanager
def in_line(doing: str | None = None) -> Iterator[Waiting]:
    """Says what is being done, unless a progress bar does, and how many others come first as long as that is so."""
    place = st.empty()
    with st.spinner(doing, show_time=True) if doing else nullcontext():

        def tell(ahead: int) -> None:
            others = "One other visitor comes" if ahead == 1 else f"{ahead} other visitors come"
            place.caption(f":material/hourglass: {others} before you …")

        try:
            yield tell
        finally:
            place.empty()


def explain(what: str) -> None:
    """The text on a page for someone who never read the tutorial."""
    with st.expander("What this step does, and why", icon=":material/menu_book:"):
        st.markdown(what)
        st.markdown(LINKS)


def follow(task: Task) -> Job | None:
    """What is known of the task's job; draws its progress while it waits or runs, or why it failed.

    None, too, where others still wait for it and this visitor has cancelled it.
    """
    job = jobs().look(job_name(task))
    if job is None or (job.state not in FINISHED and not jobs().join(job.name, _session())):
        return None
    if job.error is not None:
        show(job.error)
    if job.state not in FINISHED:
        _follow(job.name)
    return job


def is_unfinished(job: Job | None) -> bool:
    return job is not None and job.state not in FINISHED


@st.fragment(run_every=0.5)
def _follow(name: str) -> None:
    job = jobs().look(name)
    if job is None or job.state in FINISHED:
        st.rerun()
    st.progress(job.fraction, text=_progress(job))
    if st.button("Cancel", icon=":material/close:", key=f"cancel-{name}"):
        is_over = jobs().cancel(name, _session())
        st.toast("Cancelled." if is_over else "Cancelled. Others still wait for it.", icon=":material/cancel:")
        st.rerun()


def _progress(job: Job) -> str:
    if job.state is State.WAITING:
        return f"Waiting: {job.ahead} {'job is' if job.ahead == 1 else 'jobs are'} before yours …"
    if not job.stage:
        return "Starting the worker …"
    if job.remaining_seconds is not None:
        left = f"about {duration(job.remaining_seconds)} left"
    elif job.fraction < LEAST_FRACTION_FOR_ESTIMATE:
        left = f"{duration(job.elapsed_seconds)} so far"
    else:
        left = "longer than expected"
    return f"{plain(job.stage)} … {left}"


def duration(seconds: float) -> str:
    """A time as people say it: ``8 s``, ``2 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plain(text: str) -> str:
    """Text of unknown origin, such as a file name, shown as it is and not as Markdown, in one line."""
    escaped = MARKS.sub(r"\\\g<0>", " ".join(text.split()))
    return MADE_OF_TEXT.sub(JOINER, BLOCK_START.sub(r"\1\\\2", escaped))
