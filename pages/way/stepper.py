"""The stepper above every page, and the next step below it."""

from __future__ import annotations

import streamlit as st

from pages.state import picker
from pages.way import done, steps
from pages.way.steps import STEPS, Step

# The model is the first step, and has no page.
MODELS_STEP = 1


def draw(current: Step) -> None:
    """Draws the picked model, and the steps with what is done; on a phone, the steps are a menu."""
    finished = done.steps()
    number, total = STEPS.index(current) + 1 + MODELS_STEP, len(STEPS) + MODELS_STEP
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="way"):
        # A popover has no name for a stylesheet, so the containers around it have.
        with st.container(width="content", key="way_menu"), st.popover(f"Step {number} of {total}: {current.title}"):
            _links(current, finished)
        with st.container(width="content", key="way_model"):
            picker.draw()
        with st.container(horizontal=True, width="content", gap="xsmall", key="way_wide"):
            _links(current, finished)


def _links(current: Step, finished: frozenset[Step]) -> None:
    address = _address()
    for step in STEPS:
        title = f"**{step.title}**" if step is current else step.title
        icon = ":material/check_circle:" if step in finished else f":material/{step.icon}:"
        st.page_link(step.file, label=title, icon=icon, query_params=address)


def draw_next(current: Step) -> None:
    """Draws the link to the next step."""
    following = steps.after(current)
    with st.container(key="next_step"):
        st.page_link(
            following.file,
            label=f"**{following.title}:** {following.invitation}",
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params=_address(),
        )


def _address() -> dict[str, str]:
    """The parameters that the next page would write, so that going to it makes one entry in the browser's history."""
    return {name: value for name, value in picker.parameters(picker.choice().spec).items() if value is not None}
