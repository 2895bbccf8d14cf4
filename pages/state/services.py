"""The objects that all sessions share: one of each for the app."""

from __future__ import annotations

import streamlit as st

from deploy_core import embedded, settings
from deploy_core.pictures.pool import Decoders
from deploy_core.processes.jobs import Jobs
from deploy_core.processes.local import WorkerProcess
from deploy_core.profile.device.reports import Reports
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.record.saved import read_record
from deploy_core.storage.evaluations import Evaluations
from deploy_core.storage.returns import Returns
from deploy_core.storage.store import Store
from deploy_core.storage.uploads import Uploads
from deploy_core.storage.visitors import Visitors
from deploy_core.worker.client import Inference
from deploy_core.worker.intake import Intake, reader_process
from deploy_core.worker.tasks import Abilities
from web.sessions import Departures

# The niceness of workers. Building takes every core, and visitors who wait for a page come first.
BEHIND_PAGES = 5
# The memory that a worker may keep between jobs: torch and a small model, but not the libraries of all formats.
LEFT_BYTES = 900e6


@st.cache_resource(show_spinner=False)
def store() -> Store:
    return Store(settings.load())


@st.cache_resource(show_spinner=False)
def evaluations() -> Evaluations:
    return Evaluations(settings.load())


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
    """The run of the embedded model that ships with the project."""
    return read_record(embedded.SAVED_PROFILE)


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    limits = settings.load()
    workers = [WorkerProcess("worker", limits, BEHIND_PAGES, most_bytes=LEFT_BYTES) for _ in range(limits.builds)]
    return Jobs(limits, workers, _remove_unfinished)


def _remove_unfinished() -> None:
    store().sweep()
    evaluations().sweep()


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
def returns() -> Returns:
    return Returns()


@st.cache_resource(show_spinner=False)
def visitors() -> Visitors:
    def forget(visitor: str) -> None:
        returns().forget(visitor)
        jobs().cancel_all(visitor)
        store().forget(visitor)
        evaluations().forget(visitor)
        runs().forget(visitor)
        reports().forget(visitor)
        inference().forget(visitor)

    return Visitors(settings.load(), forget)


@st.cache_resource(show_spinner=False)
def departures() -> Departures:
    return Departures(st.get_option("server.disconnectedSessionTTL"))


def end_what_hangs() -> None:
    """Ends stuck processes that answer pages. Jobs end their own stuck workers."""
    for process in (inference(), intake(), decoders()):
        process.end_if_stuck()


def close() -> None:
    """Ends all other processes."""
    for process in (jobs(), inference(), intake(), decoders()):
        process.close()


@st.cache_resource(show_spinner="Asking torch what it can build here …")
def abilities() -> Abilities:
    return inference().abilities()
