"""The part of the picture that the model is given, and where it looks."""

from __future__ import annotations

import streamlit as st

from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import preprocess
from deploy_core.pictures.pool import Looks
from deploy_core.shares import percent
from deploy_core.types import Preprocessing
from pages.parts import notices
from pages.parts.text import escaped
from pages.pictures import drawings
from pages.pictures.sources import Picture

SIDE = 480
USUAL_OPACITY = 55
LEAST_KEPT = 0.5
MOST_SQUASHED = 2.5


def draw(spec: ModelSpec, picture: Picture, attention: list[list[float]] | None) -> None:
    """``attention`` is the shares of the answer by rows of patches; None for a model that does not show them."""
    if attention is None:
        st.caption(f"{escaped(spec.title)} does not show where it looks.")
        return
    st.header("What it sees, and where it looks")
    _draw(spec, picture, attention)


@st.fragment
def _draw(spec: ModelSpec, picture: Picture, shares: list[list[float]]) -> None:
    how, opacity = spec.preprocessing, st.session_state.get("opacity", USUAL_OPACITY) / 100
    with notices.errors_shown():
        looks = drawings.looks(picture, how, shares, opacity, SIDE)
        _columns(looks, how, len(shares))


def _columns(looks: Looks, how: Preprocessing, patches: int) -> None:
    kept, length = preprocess.kept_share(looks.size, how), max(looks.size) / min(looks.size)
    original, given, heat = st.columns(3, gap="medium")
    with original:
        st.image(looks.framed, width="stretch", alt="The picture, with what is cut off darkened")
        st.caption(f"The picture: the model is given {_given(kept, length, how)}.")
    with given:
        st.image(looks.input, width="stretch", alt="The model's input")
        st.caption(f"Its input: {how.crop} × {how.crop} pixels, cut into {patches} rows of {patches} patches.")
    with heat:
        st.image(looks.heat, width="stretch", alt="Heat map of where the model looks")
        st.caption("Where it looks: the brighter a place, the more it contributes to the answer.")
        st.slider(
            "Opacity of the heat map", 0, 100, USUAL_OPACITY, format="%d %%", key="opacity", persist_state="session"
        )
    if how.is_squashed and length > MOST_SQUASHED:
        st.warning(
            f"**One side of this picture is {length:.1f} times the other.** Squashed into a square, its content is "
            "hard to recognize: first crop it around your subject.",
            icon=":material/crop:",
        )
    elif kept < LEAST_KEPT:
        st.warning(
            f"**The crop cuts {percent(1 - kept)} of this picture off.** What matters may be lost: first crop it to a "
            "square around your subject.",
            icon=":material/crop:",
        )


def _given(kept: float, length: float, how: Preprocessing) -> str:
    part = "all of it" if kept == 1 else f"the middle {percent(kept)} of it"
    return f"{part}, squashed into a square" if how.is_squashed and length > 1 else part
