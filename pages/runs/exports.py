"""Where a run was measured, and its downloads."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import streamlit as st

from deploy_core import documents
from deploy_core.models import catalogue
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import tables
from deploy_core.shares import percent
from pages.parts import copying
from pages.parts.text import escaped
from pages.runs.known import origin
from pages.state import links, services


def draw(run: Record) -> None:
    _host(run)
    name = f"{run.model}_profile_{run.run_id[:6]}"
    document = json.dumps(documents.plain(run), indent=2)
    with st.container(horizontal=True):
        _offer("CSV", tables.as_csv(run), f"{name}.csv")
        _offer("JSON", document, f"{name}.json")
        _offer("Markdown", tables.as_markdown(run), f"{name}.md")
        if services.runs().traces(run.run_id):
            st.link_button(
                "Traces",
                links.traces(run.run_id),
                icon=":material/download:",
                help="When each operator ran, in each file: open one at ui.perfetto.dev or chrome://tracing",
            )
        if run.run_id == services.shipped_run().run_id or services.runs().has(run.run_id):
            copying.draw("Copy a link to this run", _address(run), f"run_link_{run.run_id}")


def _address(run: Record) -> str:
    """A link that picks the run's model and opens the run. A visitor's own model is left out: it is private."""
    picked = {"model": run.model, "weights": run.weights} if run.model in catalogue.MODELS else {}
    return f"profile?{urlencode(picked | {'run': run.run_id})}"


def _host(run: Record) -> None:
    machine = run.host
    st.caption(
        f"{origin(run).capitalize()}: {escaped(tables.host_line(run))}, "
        f"{escaped(run.weights)} weights, optimize step {escaped(run.optimize)}. "
        f"{machine.memory_bytes / 1e9:.0f} GB of memory, {escaped(machine.system)}. "
        f"Meanwhile other work took {percent(run.others_load)} of the processors."
    )


def _offer(label: str, text: str, name: str) -> None:
    st.download_button(label, text, name, icon=":material/download:", on_click="ignore")
