"""The runs that a page can show, and the one that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import streamlit as st

from deploy_core.errors import DeployError
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import trust
from deploy_core.profile.words import counted
from deploy_core.types import BuildRequest
from pages.parts import notices
from pages.state import address, picker, services


def known(chosen: picker.Choice, request: BuildRequest) -> tuple[Record, ...]:
    """The runs of the chosen model: those measured here, newest first; this visitor's uploads; the shipped one."""
    uploaded = [run for key in st.session_state.get("brought", ()) if (run := _opened(key))]
    shipped = [services.shipped_run()] if chosen.spec.is_embedded and chosen.weights == "pretrained" else []
    others = [run for run in (*uploaded, *shipped) if run.model == chosen.spec.name]
    measured = measured_here(chosen, request)
    return tuple({run.run_id: run for run in (*measured, *others)}.values())


def measured_here(chosen: picker.Choice, request: BuildRequest) -> tuple[Record, ...]:
    return services.runs().of(chosen.spec.name, request.weights, request.optimize, chosen.spec.owner)


def _opened(key: str) -> Record | None:
    """The run of a key; None if it is gone or damaged."""
    try:
        return services.runs().get(key)
    except DeployError:
        return None


def linked() -> Record | None:
    """The run named in the address. If it cannot be opened, the page shows why and goes on without it."""
    key = st.query_params.get("run")
    if not key:
        return None
    try:
        return services.shipped_run() if key == services.shipped_run().run_id else services.runs().get(key)
    except DeployError as error:
        notices.show(error)
        return None


def choose(
    runs: tuple[Record, ...], linked: Record | None, hashes: Mapping[str, str], asked: datetime | None
) -> Record | None:
    """The run to show: the one named in the address, else by default this visitor's own, else the most trustworthy.

    Says what speaks against it. ``hashes`` are the SHA-256 of the files that are built now, by format; ``asked`` is
    when this visitor asked for a run.
    """
    if linked and linked not in runs:
        return linked
    if not runs:
        return None
    found = {run.run_id: weaknesses(run, hashes) for run in runs}
    own = next((run for run in runs if asked and datetime.fromisoformat(run.measured_at) >= asked), None)
    best = linked or own or min(runs, key=lambda run: len(found[run.run_id]))
    shown = best
    if len(runs) > 1:
        key = f"shown_run_{linked.run_id if linked else own.run_id if own else ''}"
        marked = {run.run_id: f"{name_of(run)}{' · doubtful' if found[run.run_id] else ''}" for run in runs}
        shown = st.selectbox(
            "Run",
            runs,
            runs.index(best),
            lambda run: marked[run.run_id],
            key=key,
            on_change=_open_run,
            args=(key,),
            filter_mode=None,
        )
        if shown is best and best is not runs[0] and not linked:
            st.caption(f"The newest run is in the list, but not shown first. {' '.join(found[runs[0].run_id])}")
    for weakness in found[shown.run_id]:
        st.warning(weakness, icon=":material/warning:")
    return shown


def weaknesses(run: Record, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """What speaks against a run, in sentences (``trust.weaknesses``)."""
    # Elsewhere the same build may give other bytes.
    was_here = services.runs().was_measured_here(run.run_id)
    return trust.weaknesses(run, hashes if was_here else {})


def _open_run(widget: str) -> None:
    address.note(run=st.session_state[widget].run_id)


def name_of(run: Record) -> str:
    moment = run.measured_at.replace("T", " ")[:16]
    return f"{moment} · {run.host.cpu} · {counted(run.threads, 'thread')} · {origin(run)}"


def origin(run: Record) -> str:
    if run.run_id == services.shipped_run().run_id:
        return "ships with the project"
    return "measured here" if services.runs().was_measured_here(run.run_id) else "brought from elsewhere"
