"""What of the picture the model is given, and where it looks."""

from __future__ import annotations

import streamlit as st
from PIL import Image

from deploy_core import images, view
from deploy_core.spec import ModelSpec
from deploy_core.types import Preprocessing
from pages import _parts, _picker, _pictures
from pages._pictures import Picture

SIDE = 480
USUAL_OPACITY = 55
LEAST_KEPT = 0.5
MOST_SQUASHED = 2.5


def draw(chosen: _picker.Choice, picture: Picture) -> None:
    st.subheader("What it sees, and where it looks")
    key = (*chosen.state, picture.digest)
    if st.session_state.get("looked_at") != key:
        with _parts.in_line("Following its attention …") as tell:
            st.session_state["shares"] = _parts.inference().attention(
                chosen.spec.reference, chosen.weights, picture.data, tell
            )
        st.session_state["looked_at"] = key
    _draw(chosen.spec, picture, st.session_state["shares"])


@st.fragment
def _draw(spec: ModelSpec, picture: Picture, shares: list[list[float]]) -> None:
    how, whole = spec.preprocessing, _pictures.small(picture, 2 * SIDE)
    part = _fitted(view.seen(whole, how))
    kept, length = images.kept_share(whole.size, how), max(whole.size) / min(whole.size)
    original, given, looks = st.columns(3, gap="medium")
    with original:
        st.image(view.framed(whole, how), width="stretch", alt="The picture, with what is cut off darkened")
        st.caption(f"The picture: the model is given {_given(kept, length, how)}.")
    with given:
        pixels = images.crop(whole, how).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        st.image(pixels, width="stretch", alt="The model's input")
        st.caption(f"Its input: {how.crop} × {how.crop} pixels, in {len(shares)} × {len(shares)} patches.")
    with looks:
        opacity = st.session_state.get("opacity", USUAL_OPACITY) / 100
        st.image(view.heat(part, shares, opacity), width="stretch", alt="Heat map of where the model looks")
        st.caption("Where it looks: the brighter, the more of the answer comes from there.")
        st.slider(
            "Opacity of the heat map", 0, 100, USUAL_OPACITY, format="%d %%", key="opacity", persist_state="session"
        )
    if how.is_squashed and length > MOST_SQUASHED:
        st.warning(
            f"**One side of this picture is {length:.1f} times the other.** Squashed into a square, what it shows is "
            "hard to recognize: crop it around what matters first.",
            icon=":material/crop:",
        )
    elif kept < LEAST_KEPT:
        st.warning(
            f"**The crop cuts {1 - kept:.0%} of this picture off.** What matters may lie outside: crop it to a square "
            "around that first.",
            icon=":material/crop:",
        )


def _fitted(picture: Image.Image) -> Image.Image:
    """As large as fits into the column, in its own proportion."""
    longest = max(picture.size)
    width, height = (max(1, round(SIDE * side / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _given(kept: float, length: float, how: Preprocessing) -> str:
    part = "all of it" if kept == 1 else f"{kept:.0%} of it, the middle"
    return f"{part}, squashed into a square" if how.is_squashed and length > 1 else part
