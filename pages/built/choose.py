"""The formats and options of a build, as the visitor chooses them."""

from __future__ import annotations

import streamlit as st

from deploy_core.build import OPTIMIZE_CHOICES
from deploy_core.formats import FORMATS, ORIGINAL
from pages.parts.text import escaped
from pages.state import services

ENGINES = {"qnnpack": "qnnpack, for phones", "x86": "x86, for servers"}
OPTIMIZE = {"default": "Default, more exact and fast", "tutorial": "As in the tutorial"}


def formats() -> tuple[str, ...]:
    """The keys of the chosen formats."""
    reasons = {key: reason for key, reason in services.abilities().formats.items() if key != ORIGINAL.key}
    available = [key for key, reason in reasons.items() if reason is None]
    keys = st.pills(
        "Formats",
        available,
        selection_mode="multi",
        default=available,
        format_func=lambda key: FORMATS[key].title,
        key="formats",
        persist_state="session",
        help="Formats that these start from are built with them.",
    )
    for key, reason in reasons.items():
        if reason is not None:
            st.caption(f":material/block: {FORMATS[key].title} is not available here. {escaped(reason)}")
    return tuple(sorted(keys, key=available.index))


def options() -> tuple[str, str]:
    """The engine and the optimize step."""
    left, right = st.columns(2)
    with left:
        engine = st.segmented_control(
            "Engine",
            services.abilities().engines,
            default=services.abilities().engines[0],
            required=True,
            format_func=ENGINES.__getitem__,
            key="engine",
            persist_state="session",
        )
    with right:
        optimize = st.segmented_control(
            "Int8 and optimize steps",
            OPTIMIZE_CHOICES,
            default=OPTIMIZE_CHOICES[0],
            required=True,
            format_func=OPTIMIZE.__getitem__,
            key="optimize",
            persist_state="session",
        )
    return engine, optimize
