"""Which file to ship, for each target, within the visitor's limits."""

from __future__ import annotations

import streamlit as st

from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import shipping
from deploy_core.profile.verdict.shipping import TARGETS, Limits
from pages.parts.text import escaped


def draw(run: Record) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("What to ship", width="stretch")
        with st.popover("Limits", icon=":material/tune:"):
            limits = _choose_limits()
    for column, (key, target) in zip(st.columns(len(TARGETS)), TARGETS.items(), strict=True):
        recommended = shipping.recommend(run, target, limits)
        with column.container(border=True, height="stretch", key=f"recommended_{key}"):
            st.caption(f"For {recommended.target}")
            st.subheader(escaped(recommended.title), anchor=False)
            st.caption(escaped(recommended.reason))


def _choose_limits() -> Limits:
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
