"""Profile: which file to ship, and why another one is slower."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import streamlit as st

from deploy_core import settings
from deploy_core.formats import FORMATS
from deploy_core.inference import capacity
from deploy_core.profile.measure.build_and_measure import Profile
from deploy_core.profile.record.record import Record
from deploy_core.types import BuildRequest
from pages.device import reports
from pages.parts import notices, progress
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
    operators,
    recommendation,
    scaling,
    tradeoff,
    tutorial,
)
from pages.state import picker, services

BUDGETS = {"10 seconds": 10.0, "30 seconds": 30.0, "2 minutes": 120.0}
USUAL_BUDGET = "30 seconds"

WHAT = """
The tutorial's last step: how long does one inference take with each file, and what else does it cost?

- **In turn.** After a warm-up, all files answer one picture in each round, each round in a new order. They run in a
  process of their own with garbage collection off. Other work on this machine slows all of them down alike, so the
  *ratios* hold even though the milliseconds will differ on another day.
- **Until it is known.** Rounds go on until the 95 % interval of every ratio to the original is narrow enough, or the
  time is up; the page says which. Intervals are bootstrapped over whole rounds.
- **Alone.** Loading, the first answer, memory, batches and operators are measured in up to three fresh processes for
  each file, with nothing else in them; the page shows the medians. The file was read and its runtime imported before,
  so loading includes neither the disk nor the import.
- *Self CPU* is the figure that the tutorial prints, from PyTorch's profiler.

Int8 saves twice: it reads a quarter of the bytes from memory, and its integer instructions do more work each. **A PC
is not a phone**: treat the order of the formats here with care, and measure milliseconds on the phone itself.
"""


def profile() -> None:
    chosen, store = picker.choice(), services.store()
    request = wanted(chosen)
    built = store.find(request)
    measured = dataclasses.replace(request, formats=tuple(built)) if len(built) > 1 else request
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        seconds = BUDGETS[budget()]
    is_running = progress.is_unfinished(progress.follow(followed(measured, seconds)))
    was_measured = bool(known.measured_here(chosen, request))
    label = f"Profile {len(built)} files on this server" if len(built) > 1 else "Build and profile on this server"
    if controls.button(
        f"{label} again" if was_measured else label,
        type="secondary" if was_measured else "primary",
        icon=":material/speed:",
        key="profile",
        disabled=is_running,
    ):
        st.query_params.pop("run", None)
        task = Profile(measured, seconds)
        st.session_state["profiling"] = task
        # Records tell seconds.
        st.session_state["profile_asked"] = datetime.now(UTC).replace(microsecond=0)
        progress.submit(task)
        st.rerun()
    missing = [FORMATS[key].title for key in request.formats if key not in built]
    if len(built) > 1 and missing:
        st.caption(f"Not built yet, so not measured: {', '.join(missing)}.")
    runs, opened = known.known(chosen, request), known.linked()
    if opened and opened.model != chosen.spec.name:
        st.caption(f"This link opens a run of {escaped(opened.model)}.")
    elif opened and opened not in runs:
        runs = (opened, *runs)
    run = known.choose(
        runs,
        opened,
        {key: stored.artifact.sha256 for key, stored in built.items()},
        st.session_state.get("profile_asked"),
    )
    if run:
        show(run)
    elif not is_running:
        st.info(f"{escaped(chosen.spec.title)} has not been measured here yet.", icon=":material/speed:")
    with st.expander("Compare two runs, or bring one from another machine", icon=":material/compare_arrows:"):
        compare.draw(runs, chosen)
    alternatives.draw()


def followed(measured: BuildRequest, seconds: float) -> Profile:
    """The last profile of this model that this visitor asked for; else the one that the button would ask for.

    The visitor may have built or chosen something else since they asked.
    """
    task: Profile | None = st.session_state.get("profiling")
    if task and task.build.choice == measured.choice:
        return task
    return Profile(measured, seconds)


def budget() -> str:
    return str(
        st.segmented_control(
            "Longest time to measure",
            BUDGETS,
            default=USUAL_BUDGET,
            required=True,
            key="budget",
            help="For the rounds, which end earlier when every ratio is known to ±2 %. Before that, each file "
            "is measured alone, once or for up to this time again; after that, for a quarter of it on one thread.",
        )
    )


def wanted(chosen: picker.Choice) -> BuildRequest:
    """Every format that runs here, with the options that were chosen on the Build page."""
    keys = tuple(key for key in capacity.offered_formats(settings.load()) if FORMATS[key].runs_here)
    return chosen.request(keys)


def show(run: Record) -> None:
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
    "The tutorial's": tutorial.draw,
}

st.title("Which file to ship?")
st.markdown("Every file of the model, measured side by side: what it costs, what it saves, and where its time goes.")
with notices.errors_shown():
    profile()
notices.explain(WHAT)
