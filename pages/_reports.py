"""What a visitor's devices measured, beside the server's run of the same model."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from deploy_core import documents
from deploy_core.formats import FORMATS
from deploy_core.profile.record import Record
from deploy_core.profile.report import Report
from deploy_core.store import Stored
from pages import _parts, _picker, _profile_charts

ADDRESS = "report"


def take(data: bytes, offered: dict[str, Stored] | None = None, owner: str = "") -> None:
    """Keeps a report as ``Reports.keep``; it is this visitor's, and the page's address names it. Raises DeployError."""
    key = _parts.reports().keep(data, offered, owner)
    st.session_state["reports"] = tuple(dict.fromkeys((key, *st.session_state.get("reports", ()))))
    st.query_params[ADDRESS] = key


def of(model: str) -> list[Report]:
    """This visitor's reports of a model, the newest first, and the one that the address names before all."""
    linked = st.query_params.get(ADDRESS)
    keys = dict.fromkeys(([linked] if linked else []) + list(st.session_state.get("reports", ())))
    known = [_parts.reports().get(key) for key in keys if _parts.reports().has(key)]
    return [report for report in known if report.model == model]


def server_run(chosen: _picker.Choice) -> Record | None:
    """The newest run of the chosen model on this server; else the one that ships with the project."""
    optimize = st.session_state.get("optimize", "default")
    measured = _parts.runs().of(chosen.spec.name, chosen.weights, optimize, chosen.spec.owner)
    shipped = [_parts.shipped_run()] if chosen.spec.is_embedded and chosen.weights == "pretrained" else []
    return next(iter((*measured, *shipped)), None)


def draw(report: Report) -> None:
    """One report as a table, with its origin and its exports."""
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "File": FORMATS[row.format].title,
                    "Runs on": row.runs_on,
                    "Median": row.median_ms,
                    "p95": row.p95_ms,
                    "First answer": row.first_ms,
                    "Load": row.runtime_ms + row.load_ms,
                    "Rounds": len(row.samples_ms),
                    "Cosine": row.compared.cosine if row.compared else None,
                }
                for row in report.rows
            ]
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.2f ms") for name in ("Median", "p95", "First answer", "Load")
        }
        | {"Cosine": st.column_config.NumberColumn(format="%.6f", help="Of the logits, to the server's on one input")},
    )
    st.caption(f"Reported by a visitor, and not checked here: {_parts.plain(_about(report))}.")
    with st.container(horizontal=True):
        st.download_button(
            "JSON",
            json.dumps(documents.plain(report), indent=2),
            f"{report.model}_device_{report.key[:6]}.json",
            icon=":material/download:",
            on_click="ignore",
            key=f"report_json_{report.key}",
        )
        st.link_button("Link to this report", f"device?{ADDRESS}={report.key}", icon=":material/link:")


def together(run: Record | None, reports: list[Report]) -> None:
    """The server's files and the devices' in one picture."""
    if run is None:
        st.caption("Profile the model on this server, and both appear in one picture.")
    else:
        _profile_charts.tradeoff(run, reports)


def _about(report: Report) -> str:
    device = report.device
    parts = [
        report.name,
        f"{device.cores} cores" if device.cores else "",
        f"{device.memory_gb:g} GB of memory or more" if device.memory_gb else "",
        f"{device.gpu} graphics" if device.gpu else "",
        f"{report.weights} weights",
        report.runtime,
        report.measured_at[:16].replace("T", " "),
    ]
    return ", ".join(part for part in parts if part)
