"""Profile: which file to ship, and why another one is slower."""

from __future__ import annotations

import streamlit as st

from deploy_core import settings
from deploy_core.formats import FORMATS
from deploy_core.inference import capacity
from deploy_core.profile.record.record import Record
from deploy_core.types import BuildRequest
from pages.device import reports
from pages.parts import notices
from pages.parts.text import escaped
from pages.runs import (
    alternatives,
    compare,
    costs,
    exports,
    fastest,
    files,
    known,
    latency,
    measure,
    operators,
    recommendation,
    scaling,
    tradeoff,
    tutorial,
)
from pages.state import picker, services

WHAT = """
The tutorial's last step: how long does one inference take with each file, and what else does it cost?

- **In turn.** After a warm-up, all files answer one picture in each round, each round in a new order. They run in a
  process of their own with garbage collection off. Other work on this machine slows all of them down alike, so the
  *ratios* hold even though the milliseconds will differ on another day.
- **Until it is known.** Rounds go on until the 95 % interval of every ratio to the original is narrow enough, or the
  time is up; the page says which. Intervals are bootstrapped over whole rounds.
- **Alone.** Loading, the first answer, memory, operators and batches are measured in a new process for each file, with
  nothing else in it; where the time is up, operators and batches are left out. The file was read before, so loading
  includes neither the disk nor the import of its runtime.
- *Self CPU* is the figure that the tutorial prints, from PyTorch's profiler.

Int8 saves twice: it reads a quarter of the bytes from memory, and its integer instructions do more work each. On a
phone, the order of the formats may differ: measure there.
"""


def profile() -> None:
    chosen = picker.choice()
    request = wanted(chosen)
    runs, opened = known.known(chosen, request), known.linked()
    if opened and opened.model != chosen.spec.name:
        st.caption(f"This link opens a run of {escaped(opened.model)}.")
    elif opened and opened not in runs:
        runs = (opened, *runs)
    hashes = {key: stored.artifact.sha256 for key, stored in services.store().find(request).items()}
    answer = st.container()
    with answer:
        run = known.choose(runs, opened, hashes, st.session_state.get("profile_asked"))
        if run:
            fastest.draw(run)
            recommendation.draw(run)
            st.header("Measure")
    is_running = measure.draw(request, next(iter(known.measured_here(chosen, request)), None))
    if not (run or is_running):
        answer.info(f"{escaped(chosen.spec.title)} has not been measured here yet.", icon=":material/speed:")
    if run:
        show(run)
    with st.expander("Compare two runs, or bring one from another machine", icon=":material/compare_arrows:"):
        compare.draw(runs, chosen)
    alternatives.draw()


def wanted(chosen: picker.Choice) -> BuildRequest:
    """Every format that runs here, with the options that were chosen on the Build page."""
    keys = tuple(key for key in capacity.offered_formats(settings.load()) if FORMATS[key].runs_here)
    return chosen.request(keys)


def show(run: Record) -> None:
    """Draws the figures of a run, below its answer."""
    files.draw(run)
    for tab, draw in zip(st.tabs([*TABS]), TABS.values(), strict=True):
        with tab:
            draw(run)
    exports.draw(run)


def size_and_latency(run: Record) -> None:
    reported = reports.of(run.model)
    tradeoff.draw(run, reported)
    for report in reported:
        reports.draw(report)
    if not reported:
        st.page_link("on_your_device.py", label="Add your own device to this picture", icon=":material/smartphone:")


TABS = {
    "Latency": latency.draw,
    "Size and latency": size_and_latency,
    "Inside": operators.draw,
    "Batches and threads": scaling.draw,
    "Start and memory": costs.draw,
    "Tutorial": tutorial.draw,
}

st.title("Which file to ship?")
with notices.errors_shown():
    profile()
notices.explain(WHAT)
