"""Which runs there are for a page, which of them it shows, and two of them compared."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.errors import DeployError
from deploy_core.formats import FORMATS
from deploy_core.profile.device import report
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import compare
from deploy_core.profile.words import counted, percent
from deploy_core.types import BuildRequest
from pages.device import reports
from pages.parts import notices, text
from pages.state import services
from pages.state import picker

LARGEST_RECORD_MB = 5


def known(chosen: picker.Choice, request: BuildRequest) -> tuple[Record, ...]:
    """The runs of the chosen model: measured here, the newest first; brought by this visitor; the one that ships."""
    brought = [run for key in st.session_state.get("brought", ()) if (run := _opened(key))]
    shipped = [services.shipped_run()] if chosen.spec.is_embedded and chosen.weights == "pretrained" else []
    others = [run for run in (*brought, *shipped) if run.model == chosen.spec.name]
    measured = measured_here(chosen, request)
    return tuple({run.run_id: run for run in (*measured, *others)}.values())


def measured_here(chosen: picker.Choice, request: BuildRequest) -> tuple[Record, ...]:
    return services.runs().of(chosen.spec.name, request.weights, request.optimize, chosen.spec.owner)


def _opened(key: str) -> Record | None:
    """None where it is gone, or damaged."""
    try:
        return services.runs().get(key)
    except DeployError:
        return None


def linked() -> Record | None:
    """The run that the address names; where it cannot be opened, the page says why and goes on without."""
    key = st.query_params.get("run")
    if not key:
        return None
    try:
        return services.shipped_run() if key == services.shipped_run().run_id else services.runs().get(key)
    except DeployError as error:
        notices.show(error)
        return None


def choose(runs: tuple[Record, ...], linked: Record | None) -> Record | None:
    """The run that the address names, else one of those that are known, the first at first."""
    if linked and linked not in runs:
        return linked
    if len(runs) < 2:
        return next(iter(runs), None)
    key = f"shown_run_{linked.run_id if linked else ''}"
    first = runs.index(linked) if linked else 0
    return st.selectbox("Run", runs, first, name_of, key=key, on_change=open_run, args=(key,), filter_mode=None)


def open_run(widget: str) -> None:
    st.query_params["run"] = st.session_state[widget].run_id


def name_of(run: Record) -> str:
    moment = run.measured_at.replace("T", " ")[:16]
    return f"{moment} · {run.host.cpu} · {counted(run.threads, 'thread')} · {origin(run)}"


def origin(run: Record) -> str:
    if run.run_id == services.shipped_run().run_id:
        return "ships with the project"
    return "measured here" if services.runs().was_measured_here(run.run_id) else "brought from elsewhere"


@st.cache_data(max_entries=20, show_spinner=False)
def compared(first_key: str, second_key: str, _first: Record, _second: Record) -> compare.RunComparison:  # noqa: ARG001
    return compare.compare(_first, _second)


def take_in(data: bytes) -> None:
    if report.is_report(data):
        reports.take(data)
        st.toast("The device's report is under Size and latency.", icon=":material/smartphone:")
        return
    key = services.runs().take_in(data)
    st.session_state["brought"] = tuple(dict.fromkeys((*st.session_state.get("brought", ()), key)))
    st.query_params["run"] = key


def elsewhere(runs: tuple[Record, ...], chosen: picker.Choice) -> None:
    st.markdown(
        "On another machine, a Raspberry Pi for one: `python -m deploy_core profile DIR --json > run.json`. "
        "Give that file here, or one that the page On your device wrote."
    )
    given = st.file_uploader(
        "A run as JSON", type="json", max_upload_size=LARGEST_RECORD_MB, key="run_file", label_visibility="collapsed"
    )
    if given and st.session_state.get("run_taken") != given.file_id:
        take_in(given.getvalue())
        st.session_state["run_taken"] = given.file_id
        st.rerun()
    if len(runs) < 2:
        st.caption(f"Two runs of {text.plain(chosen.spec.title)} can be compared here once there are two.")
        return
    left, right = st.columns(2)
    # The run that was brought last is what its visitor wants to compare with another.
    latest = st.session_state.get("brought", ("",))[-1]
    index = next((place for place, run in enumerate(runs) if run.run_id == latest), 0)
    other = 0 if index else 1
    first = left.selectbox("First run", runs, other, name_of, key=f"first_run_{latest}", filter_mode=None)
    second = right.selectbox("Second run", runs, index, name_of, key=f"second_run_{latest}", filter_mode=None)
    found = compared(first.run_id, second.run_id, first, second)
    st.markdown(text.plain(found.text))
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": FORMATS[change.format].title,
                    "First": change.first.median_ms,
                    "Second": change.second.median_ms,
                    "Second / first": change.ratio_text,
                    "Against its original": change.relative_ratio,
                    "So it is": change.text,
                }
                for change in found.changes
            ]
        ),
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.2f ms") for name in ("First", "Second")}
        | {
            "Against its original": st.column_config.NumberColumn(
                format="%.2f x",
                help="The same of the ratios to each run's own original: leaves the machine's speed out",
            )
        },
    )
    st.caption(
        f"Two runs were not measured in turn, so a difference below {percent(compare.DRIFT)} may be the "
        "machine's own, and counts as none."
    )
