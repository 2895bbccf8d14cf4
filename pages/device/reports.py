"""The reports of a visitor's devices: kept, listed, and drawn next to the server's run of the same model."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from deploy_core import documents
from deploy_core.errors import DeployError, InvalidRequest
from deploy_core.formats import FORMATS
from deploy_core.models import catalogue
from deploy_core.profile.device.report import Report, parse
from deploy_core.profile.record.record import Record
from deploy_core.storage.entry import Stored
from pages.parts import copying
from pages.parts.text import escaped
from pages.runs import tradeoff
from pages.state import address, picker, services

ADDRESS = "report"


def keep(data: bytes, offered: dict[str, Stored] | None = None) -> None:
    """Keeps a report of the chosen model as this visitor's (see ``Reports.keep``), and puts it into the address.

    Raises DeployError, also if the report is of another model or of other weights.
    """
    chosen, report = picker.choice(), parse(data)
    if (report.model, report.weights) != (chosen.spec.name, chosen.weights):
        raise InvalidRequest(f"This is a report of {_subject(report)}.", "Pick that model and weights above.")
    key = services.reports().keep(data, offered, chosen.spec.owner)
    st.session_state["reports"] = tuple(dict.fromkeys((key, *st.session_state.get("reports", ()))))
    address.note(**{ADDRESS: key})


def of(model: str) -> list[Report]:
    """This visitor's reports of a model: first the one named in the address, then the newest first."""
    linked = st.query_params.get(ADDRESS)
    keys = dict.fromkeys(([linked] if linked else []) + list(st.session_state.get("reports", ())))
    return [report for key in keys if (report := _opened(key)) and report.model == model]


def server_run(chosen: picker.Choice) -> Record | None:
    """The newest run of the chosen model on this server, or else the one that ships with the project."""
    optimize = st.session_state.get("optimize", "default")
    measured = services.runs().of(chosen.spec.name, chosen.weights, optimize, chosen.spec.owner)
    shipped = [services.shipped_run()] if chosen.spec.is_embedded and chosen.weights == "pretrained" else []
    return next(iter((*measured, *shipped)), None)


def draw(report: Report) -> None:
    """Draws one report as a table, with its origin and its downloads."""
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "File": FORMATS[row.format].title,
                    "Runs on": row.runs_on,
                    "Median": row.median_ms,
                    "p95": row.p95_ms,
                    "First answer": row.first_ms,
                    "Load": row.start_ms,
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
        | {"Cosine": st.column_config.NumberColumn(format="%.6f", help="Of its logits to the server's, on one input")},
    )
    st.caption(f"Reported by a visitor, and not checked here: {escaped(_about(report))}.")
    for row in report.rows:
        if row.disagreement:
            st.warning(
                f"{FORMATS[row.format].title} on {row.runs_on} answers differently than the server: "
                f"{row.disagreement}. Update the browser or the device's graphics driver, then measure again.",
                icon=":material/rule:",
            )
    with st.container(horizontal=True):
        st.download_button(
            "JSON",
            json.dumps(documents.plain(report), indent=2),
            f"{report.model}_device_{report.report_id[:6]}.json",
            icon=":material/download:",
            on_click="ignore",
            key=f"report_json_{report.report_id}",
        )
        copying.draw("Copy a link to this report", _address(report), f"report_link_{report.report_id}")


def draw_with_server(run: Record | None, reports: list[Report]) -> None:
    """Draws the files of the server and of the devices in one picture."""
    if run is None:
        st.caption("Profile the model on this server, and both appear in one picture.")
    else:
        tradeoff.draw(run, reports)


def _opened(key: str) -> Report | None:
    """The report of a key; None if it is gone, or if an older version with looser checks kept it."""
    try:
        return services.reports().get(key)
    except DeployError:
        return None


def _address(report: Report) -> str:
    """A link that picks the report's model and opens the report. A visitor's own model is left out: it is private."""
    picked = {"model": report.model, "weights": report.weights} if report.model in catalogue.MODELS else {}
    return f"device?{urlencode(picked | {ADDRESS: report.report_id})}"


def _subject(report: Report) -> str:
    known = catalogue.MODELS.get(report.model)
    return f"{known.title if known else report.model}, {report.weights} weights"


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
