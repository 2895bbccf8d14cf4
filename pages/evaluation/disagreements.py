"""The pictures that the files answer differently."""

from __future__ import annotations

import base64

import streamlit as st

from deploy_core.evaluation.results import Disagreement, Evaluation
from deploy_core.evaluation.summary import SharedAnswer, shared_answers
from deploy_core.formats import FORMATS
from deploy_core.shares import percent
from pages.evaluation.words import short
from pages.parts.text import escaped

FEW_FILES = 4
SHOWN_FIRST = 12
CARD_PIXELS = 164
PICTURE_PIXELS = 96


def draw(evaluation: Evaluation) -> None:
    if len(evaluation.results) < 2:
        return
    st.header("Where the files disagree")
    if not evaluation.disagreeing:
        st.markdown(f"Nowhere: all files answer all {evaluation.count:,} pictures alike.")
        return
    share = percent(evaluation.disagreeing / evaluation.count, 1)
    st.markdown(
        f"On **{evaluation.disagreeing:,} of {evaluation.count:,} pictures** ({share}) at least one file names another "
        "class than the others. Most of these are near ties."
    )
    kept = evaluation.disagreements
    if not kept:
        st.caption(
            "This project may not publish these photographs. Check a set of your own to see the pictures on which the "
            "files differ."
        )
        return
    are_all_shown = len(kept) <= SHOWN_FIRST or st.session_state.get("all_disagreements")
    with st.container(horizontal=True):
        for disagreement in kept if are_all_shown else kept[:SHOWN_FIRST]:
            with st.container(border=True, width=CARD_PIXELS):
                _card(disagreement, evaluation.labels)
    if len(kept) > SHOWN_FIRST:
        st.toggle(f"Show {len(kept)} of {evaluation.disagreeing:,}", key="all_disagreements")


def _card(disagreement: Disagreement, labels: tuple[str, ...]) -> None:
    if disagreement.thumbnail:
        st.image(base64.b64decode(disagreement.thumbnail), width=PICTURE_PIXELS)
    st.markdown(f"**{escaped(short(labels[disagreement.true]))}**", help=escaped(disagreement.picture))
    for shared in shared_answers(disagreement):
        is_right = shared.answer == disagreement.true
        icon = ":green[:material/check:]" if is_right else ":red[:material/close:]"
        st.markdown(f"{icon} {escaped(short(labels[shared.answer]))}")
        st.caption(f"Confidence {_confidence(shared)} · {_files(shared)}")


def _confidence(shared: SharedAnswer) -> str:
    least, most = percent(shared.least), percent(shared.most)
    return most if least == most else f"{least} to {most}"


def _files(shared: SharedAnswer) -> str:
    if len(shared.subjects) > FEW_FILES:
        return f"the other {len(shared.subjects)} files"
    return ", ".join(FORMATS[subject].title for subject in shared.subjects)
