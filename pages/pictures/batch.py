"""Several pictures: answered one after the other, shown as a table and a gallery, exported as CSV or JSON.

They are not one batch, so that other visitors' pictures come in between, and because in a batch dynamic int8 changes
answers.
"""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from deploy_core import documents, spreadsheets
from deploy_core.errors import DeployError
from deploy_core.shares import percent
from deploy_core.types import Prediction
from pages.parts import notices
from pages.parts.text import escaped
from pages.pictures.sources import Picture
from pages.state import picker, services

FACTS = ("Picture", "Answer", "Index", "Confidence", "Sure", "Time")
COLUMNS = 4
SIDE = 240

Answered = dict[str, Prediction | DeployError]


def draw(chosen: picker.Choice, pictures: list[Picture], top: int, threshold: float) -> None:
    about = (*chosen.state, top)
    if st.session_state.get("batch_about") != about:
        st.session_state["batch_about"], st.session_state["batch"] = about, {}
    answered: Answered = st.session_state["batch"]
    waiting = [picture for picture in pictures if picture.digest not in answered]
    these = [picture.digest for picture in pictures]
    if waiting and st.session_state.get("batch_stopped") != these:
        _answer(chosen, waiting, top, answered, these)
    if waiting:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Stopped after {len(pictures) - len(waiting)} of {len(pictures)} pictures.", width="content")
            st.button("Go on", icon=":material/play_arrow:", on_click=_go_on, key="go_on")
    done = [(picture, answered[picture.digest]) for picture in pictures if picture.digest in answered]
    if done:
        _table(chosen, done, threshold)
        _gallery(done, threshold)


def _answer(chosen: picker.Choice, waiting: list[Picture], top: int, answered: Answered, these: list[str]) -> None:
    bar, place = st.progress(0.0), st.empty()
    place.button("Cancel", icon=":material/close:", on_click=_stop, args=[these], key="stop_batch")
    for number, picture in enumerate(waiting):
        bar.progress(number / len(waiting), f"{number} of {len(waiting)}: {escaped(picture.name)} …")
        with notices.in_line() as tell:
            try:
                answered[picture.digest] = services.inference().classify(
                    chosen.model, picture.data, picture.name, top, tell
                )
            except DeployError as error:
                answered[picture.digest] = error
    st.rerun()


def _stop(these: list[str]) -> None:
    """Stops at these pictures. Adding others starts again."""
    st.session_state["batch_stopped"] = these


def _go_on() -> None:
    st.session_state.pop("batch_stopped", None)


def _table(chosen: picker.Choice, done: list[tuple[Picture, Prediction | DeployError]], threshold: float) -> None:
    rows = [_row(picture, answer, threshold) for picture, answer in done]
    # Int64 keeps whole numbers although unreadable pictures have none.
    table = pd.DataFrame(rows, columns=FACTS).astype({"Index": "Int64"})
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "Confidence": st.column_config.NumberColumn(format="%.2f %%"),
            "Time": st.column_config.NumberColumn(format="%.1f ms", help="Reading, preprocessing and inference"),
        },
    )
    name = f"{chosen.spec.name}_pictures"
    with st.container(horizontal=True):
        st.download_button(
            "CSV",
            spreadsheets.as_csv(FACTS, rows),
            f"{name}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "JSON",
            json.dumps([_document(picture, answer) for picture, answer in done], indent=2),
            f"{name}.json",
            "application/json",
            icon=":material/download:",
            on_click="ignore",
        )


def _row(picture: Picture, answer: Prediction | DeployError, threshold: float) -> dict[str, object]:
    if isinstance(answer, DeployError):
        return {"Picture": picture.name, "Answer": f"{answer.problem} {answer.remedy}"}
    best = answer.top[0]
    return {
        "Picture": picture.name,
        "Answer": best.label,
        "Index": best.index,
        "Confidence": best.probability * 100,
        "Sure": "yes" if best.probability >= threshold else "no",
        "Time": answer.milliseconds.total,
    }


def _document(picture: Picture, answer: Prediction | DeployError) -> dict[str, object]:
    if isinstance(answer, DeployError):
        return {"source": picture.name, "error": str(answer)}
    document: dict[str, object] = documents.plain(answer)
    return document


def _gallery(done: list[tuple[Picture, Prediction | DeployError]], threshold: float) -> None:
    for start in range(0, len(done), COLUMNS):
        for column, (picture, answer) in zip(st.columns(COLUMNS), done[start : start + COLUMNS], strict=False):
            with column:
                _card(picture, answer, threshold)


def _card(picture: Picture, answer: Prediction | DeployError, threshold: float) -> None:
    if isinstance(answer, DeployError):
        st.caption(f":material/broken_image: {escaped(picture.name)}  \n{escaped(answer.problem)}")
        return
    best = answer.top[0]
    st.image(_thumbnail(picture), width="stretch", alt=f"{picture.name}: {best.label}")
    doubt = "" if best.probability >= threshold else " · not sure"
    label = escaped(best.label.split(",")[0])
    st.caption(f"{escaped(picture.name)}  \n**{label}** {percent(best.probability)}{doubt}")


def _thumbnail(picture: Picture) -> bytes:
    """A small square picture, cached in the session because each click draws all of them again."""
    kept: dict[str, bytes] = st.session_state.setdefault("thumbnails", {})
    if picture.digest not in kept:
        kept[picture.digest] = services.decoders().square(picture.data, SIDE)
    return kept[picture.digest]
