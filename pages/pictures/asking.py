"""The answer of the picked model to a picture, asked once a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from deploy_core.inference import shipped
from deploy_core.types import Answer, Milliseconds
from pages.parts import notices
from pages.pictures.sources import Picture
from pages.state import picker, services


@dataclass(frozen=True)
class Answered:
    """The most probable classes, and where the model looks, as rows of patches.

    ``attention`` is None for a model that does not show it. ``spent`` is None for an answer that ships with the model,
    which took no time here.
    """

    top: Sequence[Answer]
    attention: list[list[float]] | None
    spent: Milliseconds | None


def ask(chosen: picker.Choice, picture: Picture, top: int) -> Answered:
    """Raises DeployError."""
    known = shipped.find(chosen.model, picture.digest)
    if known:
        return Answered(known.top[:top], known.attention, None)
    about = (*chosen.state, picture.digest, top)
    if st.session_state.get("answered_about") != about:
        with notices.in_line("Looking …") as tell:
            seen = services.inference().look(chosen.model, picture.data, picture.name, top, tell)
        found = Answered(seen.prediction.top, seen.attention, seen.prediction.milliseconds)
        st.session_state["answered"], st.session_state["answered_about"] = found, about
    answered: Answered = st.session_state["answered"]
    return answered
