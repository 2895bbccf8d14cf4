"""A visitor's own model in the picker: its description, its buttons, and the dialog that is open."""

from __future__ import annotations

import streamlit as st

from deploy_core.models.own import assumptions, card
from deploy_core.models.spec import ModelSpec
from pages.own import bring as bring_dialog
from pages.own import correct as correct_dialog
from pages.own import own_model
from pages.own.own_model import BRING, CORRECT
from pages.parts.text import escaped

LABELS_SHOWN = 20


def describe(spec: ModelSpec) -> None:
    """Draws what was read from the checkpoint, with buttons to correct and to remove the model."""
    labels = ", ".join(spec.own_labels[:LABELS_SHOWN]) + (", …" if spec.classes > LABELS_SHOWN else "")
    st.caption(f"{escaped(card.describe(spec))}.")
    st.caption(f"Labels: {escaped(labels)}")
    assumed = assumptions.sentences(spec)
    if assumed:
        st.caption(f"Assumed: {escaped('; '.join(assumed))}.")
    st.caption("Only you see it, and it is deleted soon after you leave.")
    with st.container(horizontal=True):
        st.button("Correct", icon=":material/edit:", on_click=own_model.open_dialog, args=[CORRECT], key="own_correct")
        st.button("Remove", icon=":material/delete:", on_click=own_model.remove, args=[spec], key="own_remove")


def draw_dialog(spec: ModelSpec) -> None:
    """Draws the dialog that is open; ``spec`` is the model that is picked."""
    name = st.session_state.get("dialog")
    if name == BRING:
        bring_dialog.draw()
    elif name == CORRECT and spec.file:
        correct_dialog.draw(spec)
