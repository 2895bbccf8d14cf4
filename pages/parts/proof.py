"""A file's proof: the verdict, the figures, and the pictures whose margin moved most."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import streamlit as st

from deploy_core import embedded
from deploy_core.inference import proof_words
from deploy_core.types import Artifact, MovedPicture, PictureView, Proof, Verdict
from pages.parts.text import escaped

ICONS = {
    Verdict.SAME: ":green[:material/check_circle:]",
    Verdict.UNDECIDED: ":orange[:material/balance:]",
    Verdict.CHANGES: ":red[:material/error:]",
}
NOT_RUN = ":blue[:material/devices:]"
NO_VERDICT = ":gray[:material/help:]"
SIDE = 112


def figures(proof: Proof) -> None:
    for sentence in proof_words.sentences(proof):
        st.markdown(f"- {escaped(sentence)}")
    if proof.moved:
        _pictures(proof.moved)


def verdict(title: str, proof: Proof) -> None:
    words = proof_words.verdict(proof)
    st.markdown(f"{_icon(proof)} **{escaped(title)}: {words}.** {escaped(proof_words.verdict_explained(proof))}")


def short(artifact: Artifact) -> None:
    """The proof of a file in one line: how many first answers match the original's."""
    proof = artifact.proof
    if proof is None:
        st.markdown(f"{NOT_RUN} {escaped(proof_words.of_file_explained(artifact))}")
        return
    if proof.verdict is None:
        st.markdown(f"{NO_VERDICT} {escaped(proof.no_verdict)}")
        return
    same = proof.pictures - proof.flips
    count = f"All {same}" if same == proof.pictures else f"{same} of {proof.pictures}"
    # A file that changes answers has its own warning, so every other verdict gets a green mark.
    icon = ICONS[Verdict.CHANGES if proof.verdict is Verdict.CHANGES else Verdict.SAME]
    st.markdown(f"{icon} {count} first answers match the original's.")


def _icon(proof: Proof) -> str:
    return ICONS[proof.verdict] if proof.verdict else NO_VERDICT


def of_file(title: str, artifact: Artifact) -> None:
    """The verdict on a built file, or that it does not run here."""
    if artifact.proof:
        verdict(title, artifact.proof)
    else:
        words = proof_words.of_file(artifact).capitalize()
        st.markdown(f"{NOT_RUN} **{words}.** {escaped(proof_words.of_file_explained(artifact))}")


def file_figures(artifact: Artifact) -> None:
    if artifact.proof:
        figures(artifact.proof)
    for sentence in () if artifact.proof else proof_words.file_sentences(artifact):
        st.markdown(f"- {escaped(sentence)}")


def _pictures(moved: Sequence[MovedPicture]) -> None:
    st.caption("The pictures whose margin moved most, as the model sees them:")
    with st.container(horizontal=True):
        for one in moved:
            with st.container(width=SIDE * 2):
                st.image(_drawing(one.view), width=SIDE)
                change = "stays" if one.original == one.file else f"becomes {one.file}"
                st.markdown(f"**{escaped(one.original)}** {escaped(change)}")
                st.caption(f"Margin {one.margin:.2f}, then {one.margin_after:.2f}")


def _drawing(view: PictureView) -> str:
    """The part of a shipped photograph as an SVG, so that nothing is decoded here."""
    data = base64.b64encode(embedded.picture(view.file).read_bytes()).decode()
    kind = "png" if view.file.endswith(".png") else "jpeg"
    left, top, right, bottom = view.box
    mirrored = f'transform="translate({left + right} 0) scale(-1 1)"' if view.is_mirrored else ""
    source = f"data:image/{kind};base64,{data}"
    whole = f'<image href="{source}" width="1" height="1" preserveAspectRatio="none" {mirrored}/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}" '
        f'viewBox="{left} {top} {right - left} {bottom - top}" preserveAspectRatio="xMidYMid slice">{whole}</svg>'
    )
