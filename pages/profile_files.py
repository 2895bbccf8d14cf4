"""Profile: which file to ship, and why another one is slower."""

from __future__ import annotations

import dataclasses
import json

import streamlit as st

from deploy_core import documents, settings
from deploy_core.formats import FORMATS
from deploy_core.inference import capacity
from deploy_core.profile.measure.build_and_measure import Profile
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import shipping, tables, verdicts
from deploy_core.profile.verdict.shipping import TARGETS, Limits
from deploy_core.profile.words import percent
from deploy_core.types import BuildRequest
from pages.device import reports
from pages.parts import notices, progress
from pages.parts.text import plain
from pages.runs import charts
from pages.runs.runs import choose, elsewhere, known, linked, measured_here, origin
from pages.runs.tables import every_file, side_by_side, tutorial
from pages.state import links, picker, services

BUDGETS = {"10 seconds": 10.0, "30 seconds": 30.0, "2 minutes": 120.0}
USUAL_BUDGET = "30 seconds"

WHAT = """
The tutorial's last step: how long does one inference take with each file, and what else does it cost?

- **In turn.** All files answer one picture in each round, in a new order, after a warm-up, in a process of their own,
  with garbage collection off. Whatever else this machine does hits all of them alike, so the *ratios* hold although
  the milliseconds of another day will differ.
- **Until it is known.** Rounds go on until the 95 % interval of every ratio to the original is narrow enough, or the
  time is spent; the page says which. Intervals are bootstrapped over whole rounds.
- **Alone.** Loading, the first answer, memory, batches and operators are measured in fresh processes for each file, up
  to three, with nothing else in them; what is told is the median. Files were read before, so loading does not wait for
  the disk, and what runs them was imported before.
- *Self CPU* is the figure that the tutorial prints, from PyTorch's profiler.

Int8 pays twice: a quarter of the bytes to read from memory, and integer instructions that do more work each. **A PC is
not a phone**: take the order of the formats from here with care, and the milliseconds from the phone itself.
"""


def profile() -> None:
    chosen, store = picker.choice(), services.store()
    request = wanted(chosen)
    built = store.find(request)
    measured = dataclasses.replace(request, formats=tuple(built)) if len(built) > 1 else request
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        seconds = BUDGETS[budget()]
    is_running = progress.is_unfinished(progress.follow(asked(measured, seconds)))
    was_measured = bool(measured_here(chosen, request))
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
        progress.submit(task)
        st.rerun()
    missing = [FORMATS[key].title for key in request.formats if key not in built]
    if len(built) > 1 and missing:
        st.caption(f"Not built yet, so not measured: {', '.join(missing)}.")
    runs, opened = known(chosen, request), linked()
    if opened and opened.model != chosen.spec.name:
        st.caption(f"This link opens a run of {plain(opened.model)}.")
    elif opened and opened not in runs:
        runs = (opened, *runs)
    run = choose(runs, opened)
    if run:
        show(run)
    elif not is_running:
        st.info(f"{plain(chosen.spec.title)} has not been measured here yet.", icon=":material/speed:")
    with st.expander("Compare two runs, or bring one from another machine", icon=":material/compare_arrows:"):
        elsewhere(runs, chosen)


def asked(measured: BuildRequest, seconds: float) -> Profile:
    """What this visitor asked for last of this model, whatever was built or chosen since; else what they could ask."""
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
            help="For the rounds; they end earlier where every ratio is known to ±2 %. Looking at each file alone "
            "comes before that, once or for as long again, and a quarter of it on one thread after it.",
        )
    )


def wanted(chosen: picker.Choice) -> BuildRequest:
    """Every format, with the options that were chosen on the Build page."""
    everything = BuildRequest(chosen.spec.reference, chosen.weights, capacity.offered_formats(settings.load()))
    options = {name: st.session_state[name] for name in ("engine", "optimize") if name in st.session_state}
    return dataclasses.replace(everything, **options)


def show(run: Record) -> None:
    recommendation(run)
    every_file(run)
    tabs = st.tabs(
        ["Latency", "Size and latency", "Inside", "Batches and threads", "Start and memory", "The tutorial's"]
    )
    for tab, draw in zip(
        tabs,
        (
            charts.latency,
            tradeoff,
            inside,
            charts.scaling,
            charts.costs,
            tutorial,
        ),
        strict=True,
    ):
        with tab:
            draw(run)
    host(run)
    exports(run)


def recommendation(run: Record) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("#### What to ship", width="stretch")
        with st.popover("Limits", icon=":material/tune:"):
            limits = choose_limits()
    for column, (key, target) in zip(st.columns(len(TARGETS)), TARGETS.items(), strict=True):
        found = shipping.recommend(run, target, limits)
        with column.container(border=True, height="stretch", key=f"recommended_{key}"):
            st.caption(f"For {found.target}")
            st.markdown(f"#### {found.title}")
            st.caption(plain(found.reason))
    st.caption(verdicts.certainty(run))


def choose_limits() -> Limits:
    megabytes = st.number_input("Largest file, MB", 0.0, value=None, key="limit_mb", placeholder="none")
    milliseconds = st.number_input("Slowest answer here, ms", 0.0, value=None, key="limit_ms", placeholder="none")
    agreement = st.number_input(
        "Least agreement with the original, %", 0, 100, value=None, key="limit_agreement", placeholder="none"
    )
    return Limits(
        None if megabytes is None else int(megabytes * 1e6),
        milliseconds,
        None if agreement is None else agreement / 100,
    )


def tradeoff(run: Record) -> None:
    reported = reports.of(run.model)
    charts.tradeoff(run, reported)
    for report in reported:
        reports.draw(report)
    if not reported:
        st.page_link("on_your_device.py", label="Add your own device to this picture", icon=":material/smartphone:")


def inside(run: Record) -> None:
    charts.operators(run)
    side_by_side(run)


def host(run: Record) -> None:
    machine = run.host
    st.caption(
        f"{origin(run).capitalize()}: {plain(tables.host_line(run))}, "
        f"{plain(run.weights)} weights, {plain(run.optimize)} way to optimize. "
        f"{machine.memory_bytes / 1e9:.0f} GB of memory, {plain(machine.system)}. "
        f"Other work took {percent(run.others_load)} of the processors meanwhile. A PC is not a phone."
    )


def exports(run: Record) -> None:
    name = f"{run.model}_profile_{run.run_id[:6]}"
    document = json.dumps(documents.plain(run), indent=2)
    with st.container(horizontal=True):
        offer("CSV", tables.as_csv(run), f"{name}.csv")
        offer("JSON", document, f"{name}.json")
        offer("Markdown", tables.as_markdown(run), f"{name}.md")
        if services.runs().traces(run.run_id):
            st.link_button(
                "Traces",
                links.traces(run.run_id),
                icon=":material/download:",
                help="When each operator ran, in each file: open one at ui.perfetto.dev or chrome://tracing",
            )
        if run.run_id == services.shipped_run().run_id or services.runs().has(run.run_id):
            st.link_button("Link to this run", f"?run={run.run_id}", icon=":material/link:")


def offer(label: str, text: str, name: str) -> None:
    st.download_button(label, text, name, icon=":material/download:", on_click="ignore")


st.title("Which file to ship?")
st.markdown("Every file of the model, measured side by side: what it costs, what it saves, and where its time goes.")
with notices.errors_shown():
    profile()
notices.explain(WHAT)
