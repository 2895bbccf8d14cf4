"""What is assumed about a visitor's own model, above its answers: each likely alternative is one click away."""

from __future__ import annotations

from dataclasses import fields

import streamlit as st

from deploy_core.models.own import assumptions
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.spec import ModelSpec
from deploy_core.storage.visitors import VisitorsFile
from pages.own import own_model
from pages.parts import notices
from pages.parts.text import escaped
from pages.state import services


def draw(spec: ModelSpec) -> None:
    """Draws nothing for a model of which everything was told."""
    topics = assumptions.assumed(spec)
    if spec.file is None or not topics:
        return
    chosen: Corrections | None = None
    with st.container(border=True):
        st.markdown(
            ":material/help: **Assumed, because nothing in the checkpoint says it.** Click what is right instead."
        )
        for key, topic in topics.items():
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(escaped(topic.taken(spec)))
                for number, other in enumerate(assumptions.alternatives(spec, topic)):
                    if st.button(escaped(other.text), key=f"assume_{key}_{number}"):
                        chosen = other.corrections
        if st.button("All of this is right", key="assume_keep", icon=":material/check:"):
            chosen = _merged([topic.keep(spec) for topic in topics.values()])
        if chosen is not None:
            with notices.errors_shown(), notices.in_line("Reading it again …") as tell:
                own_model.use(services.intake().correct(VisitorsFile.of(spec.file), chosen, tell))


def _merged(corrections: list[Corrections]) -> Corrections:
    values = {one.name: [getattr(made, one.name) for made in corrections] for one in fields(Corrections)}
    return Corrections(**{name: next((v for v in found if v is not None), None) for name, found in values.items()})
