"""Profile: all files of a build side by side, as the tutorial compares them."""

from __future__ import annotations

import dataclasses

import pandas as pd
import streamlit as st

from deploy_core import documents, embedded
from deploy_core.formats import FORMATS
from deploy_core.processes import Task
from deploy_core.profile import read_report
from deploy_core.types import BuildRequest, ProfileReport, ProfileRow
from pages import _parts, _picker
from pages._charts import Bar, draw_bars

REPEATS = 20

WHAT = """
The tutorial's last step: how long does one inference take with each file? All files are measured in turn, round by
round, after a warm-up, in a process of their own, so that whatever else this machine does hits all of them alike. The
table shows the median of the rounds; *reduction* is how much time the file saves against the original. *Self CPU* is
the figure that the tutorial prints, from PyTorch's profiler.

Int8 pays twice: a quarter of the bytes to read from memory, and integer instructions that do more work each. A phone's
processor is not this server's: take the order of the formats from here, and the milliseconds from the phone itself.
"""


def table(report: ProfileReport) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Model": FORMATS[row.format].title,
                "Inference time": row.median_ms,
                "Reduction": row.reduction_percent,
                "p95": row.p95_ms,
                "Self CPU": row.self_cpu_ms,
                "Size": row.bytes / 1e6,
                "Engine": row.run_engine or "float32",
            }
            for row in report.rows
        ]
    )


def results(report: ProfileReport, here: bool) -> None:
    rows = table(report)
    original = report.rows[0]
    fastest = min(report.rows, key=lambda row: row.median_ms)
    smallest = min(report.rows, key=lambda row: row.bytes)
    st.markdown(
        f"Fastest: **{FORMATS[fastest.format].title}**, {fastest.median_ms:.1f} ms an inference, "
        f"{fastest.reduction_percent:.0f} % less than the original. "
        f"Smallest: **{FORMATS[smallest.format].title}**, {smallest.bytes / 1e6:.1f} MB, "
        f"{(1 - smallest.bytes / original.bytes) * 100:.0f} % less."
    )
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Inference time": st.column_config.NumberColumn(format="%.2f ms", help="Median of the rounds"),
            "Reduction": st.column_config.NumberColumn(format="%.2f %%", help="Against the original"),
            "p95": st.column_config.NumberColumn(format="%.2f ms"),
            "Self CPU": st.column_config.NumberColumn(format="%.2f ms", help="The tutorial's figure"),
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
        },
    )
    left, right = st.columns(2, gap="large")
    with left:
        times = [(row, row.median_ms, f"{row.median_ms:.1f} ms") for row in report.rows]
        draw_bars([bar(*time) for time in times], "Inference time of each file", title="Inference time")
    with right:
        sizes = [(row, row.bytes / 1e6, f"{row.bytes / 1e6:.1f} MB") for row in report.rows]
        draw_bars([bar(*size) for size in sizes], "Size of each file", title="File size")
    host = report.host
    st.caption(
        f"{'Measured on this server' if here else 'A saved run'}: {host['cpu']}, {report.threads} threads, "
        f"{report.repeats} rounds, torch {host['torch']}, {report.measured_at[:10]}."
    )
    csv = rows.to_csv(index=False)
    st.download_button("Table as CSV", csv, f"{report.model}_profile.csv", "text/csv", icon=":material/download:")


def bar(row: ProfileRow, value: float, text: str) -> Bar:
    title = FORMATS[row.format].title
    return Bar(title, value, text, f"{title}: {text}")


def profile() -> None:
    chosen, store = _picker.choice(), _parts.store()
    request = wanted(chosen)
    built = store.find(request)
    report = store.report(request)
    measured = dataclasses.replace(request, formats=tuple(built)) if len(built) > 1 else request
    task = Task("profile", {"build": documents.plain(measured), "repeats": REPEATS, "threads": None})
    if _parts.is_unfinished(_parts.follow(task)):
        return
    label = f"Profile {len(built)} files on this server" if len(built) > 1 else "Build and profile on this server"
    if st.button(
        f"{label} again" if report else label,
        type="secondary" if report else "primary",
        icon=":material/speed:",
        key="profile",
    ):
        _parts.jobs().submit(task)
        st.rerun()
    missing = [FORMATS[key].title for key in FORMATS if key not in built]
    if len(built) > 1 and missing:
        st.caption(f"Not built yet, so not measured: {', '.join(missing)}.")
    saved = chosen.spec.hub_id is None and chosen.weights == "pretrained"
    if report:
        results(report, here=True)
    elif saved:
        results(read_report(embedded.SAVED_PROFILE), here=False)
    else:
        st.info(f"{chosen.spec.title} has not been measured here yet.", icon=":material/speed:")


def wanted(chosen: _picker.Choice) -> BuildRequest:
    """Every format, with the options that were chosen on the Build page."""
    everything = BuildRequest(chosen.spec.name, chosen.weights, tuple(FORMATS))
    options = {name: st.session_state[name] for name in ("engine", "optimize") if name in st.session_state}
    return dataclasses.replace(everything, **options)


st.title("Which file to ship?")
st.markdown("Every file of the model, timed side by side on the same picture: what it costs, and what it saves.")
with _parts.errors_shown():
    profile()
_parts.explain(WHAT)
