"""What several pages draw, and the few objects that all visitors share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from deploy_core import classify, settings
from deploy_core.errors import DeployError
from deploy_core.formats import engines
from deploy_core.jobs import FINISHED, Job, Jobs, State, job_name
from deploy_core.store import Store

LINKS = (
    "[Paper](https://arxiv.org/abs/2012.12877) · [Code of the authors](https://github.com/facebookresearch/deit) · "
    "[Tutorial](https://pytorch.org/tutorials/beginner/vt_tutorial.html) · "
    "[iOS demo app](https://github.com/pytorch/ios-demo-app/tree/master/ViT4MNIST) · "
    "[Android demo app](https://github.com/pytorch/android-demo-app/tree/master/ViT4MNIST)"
)


@st.cache_resource
def jobs() -> Jobs:
    return Jobs(settings.load())


@st.cache_resource
def store() -> Store:
    return Store(settings.load())


@st.cache_resource(show_spinner="Asking torch what it can build …")
def build_engines() -> list[str]:
    return engines.for_building()


@st.cache_resource(max_entries=2, show_spinner="Loading the model …")
def classifier(model: str, weights: str) -> classify.Classifier:
    opened = classify.open_model(model, weights, settings.load())
    opened.warm_up()
    return opened


def show(error: DeployError) -> None:
    """An error for people: what is wrong, and what to do."""
    st.error(f"**{_plain(error.problem)}** {_plain(error.remedy)}", icon=":material/error:")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows an error where it happens, so that the rest of the page is still drawn."""
    try:
        yield
    except DeployError as error:
        show(error)


def explain(what: str) -> None:
    """The text on a page for someone who never read the tutorial."""
    with st.expander("What this step does, and why", icon=":material/menu_book:"):
        st.markdown(what)
        st.markdown(LINKS)


def unfinished(kind: str, subject: str) -> bool:
    """Draws the progress of a job while it waits or runs, or why it failed; whether it is unfinished."""
    name = job_name(kind, subject)
    job = jobs().look(name)
    if job is None:
        return False
    if job.error is not None:
        show(job.error)
    if job.state in FINISHED:
        return False
    _follow(name)
    return True


@st.fragment(run_every=0.5)
def _follow(name: str) -> None:
    job = jobs().look(name)
    if job is None or job.state in FINISHED:
        st.rerun()
    _draw(job)
    if st.button("Cancel", icon=":material/close:", key=f"cancel-{name}"):
        jobs().cancel(name)
        st.toast("Cancelled.", icon=":material/cancel:")
        st.rerun()


def _draw(job: Job) -> None:
    if job.state is State.WAITING:
        st.progress(0.0, text=f"Waiting for {job.ahead} other {'job' if job.ahead == 1 else 'jobs'} …")
    elif job.event is None:
        st.progress(0.0, text="Starting a worker …")
    else:
        st.progress(job.event.done / max(1, job.event.total), text=f"{job.event.message} …")


def _plain(text: str) -> str:
    """Text of unknown origin, such as a file name, shown as it is and not as Markdown."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|$~:" else character for character in text)
