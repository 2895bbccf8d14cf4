"""The answers of all built files to one picture, next to the original's."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.build import Build
from deploy_core.errors import DeployError
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.inference.file_answers import FileAnswer, Probability
from deploy_core.shares import percent
from deploy_core.storage.entry import Stored
from deploy_core.types import BuildRequest
from pages.charts import theme
from pages.charts.changes import ChangeMark, draw_changes
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.pictures.sources import Picture
from pages.state import picker, services

MINUS = "\N{MINUS SIGN}"
# A smaller change, in points, is no change in the two digits that are shown.
LEAST_TOLD = 0.005
# Each file's answer, or why there is none, by the key of the file.
Asked = dict[str, FileAnswer | DeployError]


def draw(chosen: picker.Choice, picture: Picture) -> None:
    st.header("Every file's answer")
    request = _request(chosen)
    task = Build(request)
    if progress.is_unfinished(progress.follow(task)):
        return
    built = services.store().find(request)
    if set(built) <= {ORIGINAL.key}:
        st.markdown("Do the files for phones match the original? Build them, then ask each about this picture.")
        if st.button("Build the files", icon=":material/build:", key="build_files"):
            progress.submit(task)
            st.rerun()
        return
    asked = _asked(picture, built)
    missing = [stored for stored in built.values() if stored.key not in asked]
    if missing:
        label = f"Ask {'all ' if len(missing) > 1 else ''}{len(missing)} file{'s' if len(missing) > 1 else ''}"
        if st.button(label, icon=":material/forum:", key="ask_files"):
            _ask(chosen, picture, missing, asked)
    answers = [(stored, asked[stored.key]) for stored in built.values() if stored.key in asked]
    if answers:
        _show(answers)


def _request(chosen: picker.Choice) -> BuildRequest:
    """Every format that this machine can build and run, with the options chosen on the Build page."""
    keys = tuple(
        key for key, reason in services.abilities().formats.items() if reason is None and FORMATS[key].runs_here
    )
    return chosen.request(keys)


def _asked(picture: Picture, built: dict[str, Stored]) -> Asked:
    """The answers that this session already has: of these files, to this picture."""
    about = (picture.digest, *sorted(stored.key for stored in built.values()))
    if st.session_state.get("asked_about") != about:
        st.session_state["asked_about"], st.session_state["asked"] = about, {}
    asked: Asked = st.session_state["asked"]
    return asked


def _ask(chosen: picker.Choice, picture: Picture, missing: list[Stored], asked: Asked) -> None:
    bar = st.progress(0.0)
    for number, stored in enumerate(missing):
        bar.progress(number / len(missing), f"Asking {FORMATS[stored.artifact.format].title} …")
        with notices.in_line() as tell:
            try:
                asked[stored.key] = services.inference().file_answer(chosen.model, stored.key, picture.data, tell)
            except DeployError as error:
                asked[stored.key] = error
    st.rerun()


def _show(answers: list[tuple[Stored, FileAnswer | DeployError]]) -> None:
    replies = [reply for _, reply in answers if isinstance(reply, FileAnswer)]
    differing = [FORMATS[reply.format].title for reply in replies if not reply.agrees]
    if differing:
        st.warning(f"**Another class than the original's:** {', '.join(differing)}.", icon=":material/difference:")
    elif replies:
        st.markdown(f":green[:material/check_circle:] All {len(replies)} match the original's answer.")
    st.dataframe(
        pd.DataFrame([_row(stored, reply) for stored, reply in answers]),
        hide_index=True,
        placeholder="",
        column_config={
            "Confidence": st.column_config.NumberColumn(format="%.2f %%"),
            "Cosine": st.column_config.NumberColumn(format="%.6f", help="Of the logits, against the original's"),
            "Largest difference": st.column_config.NumberColumn(format="%.4f", help="Of any logit"),
        },
    )
    changes = _changes(replies)
    if changes:
        furthest = max(changes, key=lambda change: abs(change.value))
        points = f"{furthest.value:+.2f}".replace("-", MINUS)
        moved = f"{furthest.group} moves a probability furthest: by {points} points"
        st.markdown(f"**{moved if abs(furthest.value) >= LEAST_TOLD else 'No probability moves'}**")
        draw_changes(
            changes,
            theme.file_colours(),
            "How far each file moved the probabilities",
            "points against the original",
        )
        st.caption("The original's most probable classes and their probabilities. Each dot is a file.")
    for stored, reply in answers:
        if isinstance(reply, DeployError):
            st.error(f"**{FORMATS[stored.artifact.format].title}:** {escaped(str(reply))}", icon=":material/error:")


def _row(stored: Stored, reply: FileAnswer | DeployError) -> dict[str, object]:
    title = FORMATS[stored.artifact.format].title
    if isinstance(reply, DeployError):
        return {"File": title, "Predicted class": "no answer"}
    return {
        "File": title,
        "Predicted class": reply.top.label,
        "Confidence": reply.top.probability * 100,
        "Matches the original": "yes" if reply.agrees else "no",
        "Cosine": reply.cosine,
        "Largest difference": reply.max_abs_difference,
    }


def _changes(replies: list[FileAnswer]) -> list[ChangeMark]:
    return [
        _change(FORMATS[reply.format].title, probability)
        for reply in replies
        if reply.format != ORIGINAL.key
        for probability in reply.probabilities
    ]


def _change(title: str, probability: Probability) -> ChangeMark:
    label = f"{probability.label.split(',')[0]} · {percent(probability.original, 1)}"
    points = probability.change * 100
    return ChangeMark(
        label, points, title, f"{title}: {probability.label} {percent(probability.file, 2)}, {points:+.2f} points"
    )
