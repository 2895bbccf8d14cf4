"""A card for one built file: the effect of its step, its downloads, its proof, and the phones that run it."""

from __future__ import annotations

import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.storage.entry import Stored
from deploy_core.types import Artifact, BuildResult
from pages.parts import proof
from pages.parts.text import escaped
from pages.state import links


def draw(stored: Stored, result: BuildResult) -> None:
    artifact, row = stored.artifact, FORMATS[stored.artifact.format]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{row.title}** · {artifact.bytes / 1e6:.1f} MB", width="content")
            with st.container(horizontal=True, width="content"):
                _downloads(stored)
        st.markdown(row.effect(result))
        proof.of_file("Against the original", artifact)
        if artifact.disagrees:
            st.error("**Its answers are not the original's.** Do not ship it before you know why.")
        with st.expander("Proof, and will it run on my phone?"):
            _proof(artifact)
            _phones(artifact)


def _downloads(stored: Stored) -> None:
    st.link_button("File", links.artifact(stored), icon=":material/download:", help=escaped(stored.artifact.file))
    st.link_button(
        "Bundle",
        links.bundle(stored),
        icon=":material/folder_zip:",
        help="A zip with the file, its labels and preprocessing, a test picture with the expected logits, checksums, "
        "and code for an app",
    )
    with st.popover("QR code", icon=":material/qr_code_2:"):
        links.draw_qr_code(links.artifact(stored))


def _proof(artifact: Artifact) -> None:
    seconds = artifact.seconds
    proof.file_figures(artifact)
    asked = "asked about photographs and parts of them" if artifact.proof else "interpreted for one photograph"
    st.caption(
        f"The file was read back from disk and {asked}. Its format asks for a cosine of at least "
        f"{FORMATS[artifact.format].least_cosine}."
    )
    if artifact.delegation:
        left = ", ".join(f"`{name}`" for name in artifact.delegation.undelegated) or "none"
        st.markdown(
            f"**{artifact.delegation.percent:.0f} % of the operators** are delegated; left to the runtime: {left}."
        )
    st.caption(
        f"Built and saved in {seconds.build:.2f} s, synced to disk in {seconds.sync:.2f} s, checked in "
        f"{seconds.check:.2f} s. SHA-256 `{artifact.sha256}`"
    )


def _phones(artifact: Artifact) -> None:
    for runtime in FORMATS[artifact.format].runtimes:
        st.markdown(f"- **{runtime.name} {runtime.version}** ({runtime.places}): `{runtime.install}`")
    for finding in artifact.findings:
        icon = ":green[:material/check:]" if finding.holds else ":orange[:material/warning:]"
        st.markdown(f"- {icon} {escaped(finding.text)}")
