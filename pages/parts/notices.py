"""Messages of several pages: errors, the place in the queue, explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deploy_core.errors import DeployError
from deploy_core.processes.line import Waiting
from pages.parts.text import escaped

TOLD = "errors_told"
LINKS = (
    "[Paper](https://arxiv.org/abs/2012.12877) · [Code of the authors](https://github.com/facebookresearch/deit) · "
    "[Tutorial](https://pytorch.org/tutorials/beginner/vt_tutorial.html) · "
    "[iOS demo app](https://github.com/pytorch/ios-demo-app/tree/master/ViT4MNIST) · "
    "[Android demo app](https://github.com/pytorch/android-demo-app/tree/master/ViT4MNIST)"
)


def begin() -> None:
    """Starts a run of a page, in which each error is told once."""
    st.session_state[TOLD] = set()


def show(error: DeployError) -> None:
    """Shows an error: what is wrong, and what to do. A page that meets it several times tells it once."""
    told: set[str] = st.session_state.setdefault(TOLD, set())
    context = get_script_run_ctx()
    # A fragment that runs again has removed what it told before.
    if str(error) in told and not (context and context.fragment_ids_this_run):
        return
    told.add(str(error))
    st.error(f"**{escaped(error.problem)}** {escaped(error.remedy)}", icon=":material/error:")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows a DeployError of the block in its place, so that the rest of the page is still drawn."""
    try:
        yield
    except DeployError as error:
        show(error)


@contextmanager
def in_line(doing: str | None = None) -> Iterator[Waiting]:
    """Shows how many visitors are ahead while the block waits for its turn, and ``doing`` with a spinner.

    Yields the function to call with the number of visitors ahead. ``doing`` is None if a progress bar already shows it.
    """
    place = st.empty()
    with st.spinner(doing, show_time=True) if doing else nullcontext():

        def tell(ahead: int) -> None:
            others = "One other visitor comes" if ahead == 1 else f"{ahead} other visitors come"
            place.caption(f":material/hourglass: {others} before you …")

        try:
            yield tell
        finally:
            place.empty()


def for_host(title: str, notes: Iterable[str]) -> None:
    """Folds away what only the person who runs this server can use."""
    with st.expander(title, icon=":material/dns:"):
        for note in notes:
            st.markdown(note)


def explain(what: str) -> None:
    """Draws the text that explains a page to someone who has not read the tutorial."""
    with st.expander("What this step does, and why", icon=":material/menu_book:"):
        st.markdown(what)
        st.markdown(LINKS)
