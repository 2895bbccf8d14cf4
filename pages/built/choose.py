"""The formats and options of a build, as the visitor chooses them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from deploy_core.build import OPTIMIZE_CHOICES
from deploy_core.formats import FORMATS, ORIGINAL, in_build_order
from deploy_core.profile.words import counted
from pages.parts import notices
from pages.parts.text import escaped
from pages.state import services

ENGINES = {"qnnpack": "qnnpack, for phones", "x86": "x86, for servers"}
OPTIMIZE = {"default": "Default, more exact and fast", "tutorial": "As in the tutorial"}


def formats() -> tuple[str, ...]:
    """The keys of the chosen formats."""
    reasons = {key: reason for key, reason in services.abilities().formats.items() if key != ORIGINAL.key}
    can_be_built = available()
    keys = st.pills(
        "Formats",
        can_be_built,
        selection_mode="multi",
        default=can_be_built,
        format_func=lambda key: FORMATS[key].title,
        key="formats",
        persist_state="session",
    )
    missing = {FORMATS[key].title: reason for key, reason in reasons.items() if reason is not None}
    if missing:
        notices.for_host(
            f"{counted(len(missing), 'format')} that this server cannot build",
            (f"**{title}:** {escaped(reason)}" for title, reason in missing.items()),
        )
    return tuple(sorted(keys, key=can_be_built.index))


def available() -> tuple[str, ...]:
    """The keys of the formats that can be built here, without the original."""
    return tuple(key for key, reason in services.abilities().formats.items() if reason is None and key != ORIGINAL.key)


def why(keys: Sequence[str]) -> str:
    """Says how many files a choice of formats makes, and why they are more than the chosen ones."""
    rows = in_build_order(keys)
    reasons = [f"{ORIGINAL.title} is what the others are compared with"]
    reasons += [
        f"{next(other.title for other in rows if other.needs == row.key)} starts from {row.title}"
        for row in rows
        if row.key not in (*keys, ORIGINAL.key)
    ]
    return f"{len(keys)} chosen, {len(rows)} files: {'; '.join(reasons)}."


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
