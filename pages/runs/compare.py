"""Two runs compared, and the upload of a run or of a device's report."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.device import report
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import compare
from deploy_core.shares import percent
from pages.device import reports
from pages.parts.text import escaped
from pages.runs import known
from pages.state import address, picker, services

LARGEST_RECORD_MB = 5


def draw(runs: tuple[Record, ...], chosen: picker.Choice) -> None:
    _upload()
    if len(runs) < 2:
        st.caption(f"Two runs of {escaped(chosen.spec.title)} can be compared here once there are two.")
        return
    left, right = st.columns(2)
    # A visitor who uploaded a run wants to compare that one with another.
    latest = st.session_state.get("brought", ("",))[-1]
    index = next((number for number, run in enumerate(runs) if run.run_id == latest), 0)
    other = 0 if index else 1
    first = left.selectbox("First run", runs, other, known.name_of, key=f"first_run_{latest}", filter_mode=None)
    second = right.selectbox("Second run", runs, index, known.name_of, key=f"second_run_{latest}", filter_mode=None)
    _table(_compared(first.run_id, second.run_id, first, second))


def _upload() -> None:
    st.markdown(
        "To measure on another machine, such as a Raspberry Pi, run `python -m deploy_core profile DIR --json > "
        "run.json` there. Upload that file here, or one that you saved on the page On your device."
    )
    uploaded = st.file_uploader(
        "A run as JSON", type="json", max_upload_size=LARGEST_RECORD_MB, key="run_file", label_visibility="collapsed"
    )
    if uploaded and st.session_state.get("run_taken") != uploaded.file_id:
        _keep(uploaded.getvalue())
        st.session_state["run_taken"] = uploaded.file_id
        st.rerun()


def _keep(data: bytes) -> None:
    """Keeps an uploaded run or report as this visitor's. Raises DeployError."""
    if report.is_report(data):
        reports.keep(data)
        st.toast("The device's report is under Size and latency.", icon=":material/smartphone:")
        return
    key = services.runs().take_in(data)
    st.session_state["brought"] = tuple(dict.fromkeys((*st.session_state.get("brought", ()), key)))
    address.note(run=key)


@st.cache_data(max_entries=20, show_spinner=False)
def _compared(first_key: str, second_key: str, _first: Record, _second: Record) -> compare.RunComparison:  # noqa: ARG001
    return compare.compare(_first, _second)


def _table(comparison: compare.RunComparison) -> None:
    st.markdown(escaped(comparison.text))
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": FORMATS[change.format].title,
                    "First": change.first.median_ms,
                    "Second": change.second.median_ms,
                    "Second / first": change.ratio_text,
                    "Against its original": change.relative_ratio,
                    "Result": change.text,
                }
                for change in comparison.changes
            ]
        ),
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.2f ms") for name in ("First", "Second")}
        | {
            "Against its original": st.column_config.NumberColumn(
                format="%.2f x",
                help="The same quotient, of the ratios to each run's own original. It leaves the machine's speed out.",
            )
        },
    )
    st.caption(
        f"The two runs were not measured in turn. A difference below {percent(compare.DRIFT)} may come from the "
        "machine itself and counts as none."
    )
