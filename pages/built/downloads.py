"""The downloads of a built file: the file, its bundle, and a QR code for a phone."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from deploy_core.storage.entry import Stored
from deploy_core.types import Artifact
from pages.parts.text import escaped
from pages.state import links

# A smaller difference of two sizes is not worth a word.
LEAST_CHANGE = 0.005


def draw(stored: Stored, is_main: bool = False) -> None:
    """Draws the downloads in a row; the ``is_main`` one of a card stands above the others, and has a QR code."""
    if is_main:
        _file(stored, "primary", "stretch")
    with st.container(horizontal=True, width="content", gap="xsmall"):
        if not is_main:
            _file(stored, "secondary", "content")
        st.link_button(
            "Bundle with app code" if is_main else "Bundle",
            links.bundle(stored),
            icon=":material/folder_zip:",
            help="A zip with the file, its labels and preprocessing, a test picture with the expected logits, "
            "checksums, and code for an app",
        )
        if is_main:
            with st.popover("QR code", icon=":material/qr_code_2:"):
                links.draw_qr_code(links.artifact(stored))


def _file(stored: Stored, kind: Literal["primary", "secondary"], width: Literal["stretch", "content"]) -> None:
    st.link_button(
        "Download",
        links.artifact(stored),
        icon=":material/download:",
        help=escaped(stored.artifact.file),
        type=kind,
        width=width,
    )


def size(artifact: Artifact, original: Artifact | None) -> str:
    """Its size and what it saves, such as ``7.6 MB, 68 % smaller``."""
    words = f"{artifact.bytes / 1e6:.1f} MB"
    change = artifact.size_change(original) if original else 0.0
    if abs(change) < LEAST_CHANGE:
        return words
    return f"{words}, {abs(change) * 100:.0f} % {'smaller' if change < 0 else 'larger'}"
