"""All built files: a row for each with its downloads, and its details on demand."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.storage.entry import Stored
from deploy_core.types import Artifact, BuildResult
from pages.built import downloads
from pages.parts import proof
from pages.parts.text import escaped
from pages.state import links


def draw(files: Sequence[Stored], result: BuildResult) -> None:
    original = next((stored.artifact for stored in files if stored.artifact.format == ORIGINAL.key), None)
    with st.container(key="files", gap="xsmall"):
        for stored in files:
            with st.container(horizontal=True, vertical_alignment="center"):
                _row(stored, original, result)
    if len(files) > 1:
        st.link_button(f"Download all {len(files)} files", links.archive(files), icon=":material/folder_zip:")


def _row(stored: Stored, original: Artifact | None, result: BuildResult) -> None:
    artifact, row = stored.artifact, FORMATS[stored.artifact.format]
    with st.container(width="stretch", gap="xxsmall"):
        st.markdown(f"**{row.title}** · {downloads.size(artifact, original)}")
        if artifact.disagrees:
            st.markdown(":red[:material/error: **Its answers are not the original's.** Do not ship it.]")
        elif row is not ORIGINAL:
            proof.short(artifact)
    downloads.draw(stored)
    with st.popover("Details", icon=":material/info:"):
        st.markdown(row.effect(result))
        st.markdown("### Accuracy check")
        proof.of_file("Against the original", artifact)
        _proof(artifact)
        st.markdown("### Phone compatibility")
        _phones(artifact)
        st.markdown("### QR code")
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
