"""What every built file of the model answers to the picture, beside the original."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.build import Build
from deploy_core.errors import DeployError
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.inference.file_answers import FileAnswer
from deploy_core.storage.entry import Stored
from deploy_core.types import BuildRequest
from pages.charts.charts import Change, draw_changes
from pages.parts import notices, progress, text
from pages.pictures.sources import Picture
from pages.state import picker, services

# What was asked of each file, by the address of the file: an answer, or why there is none.
Asked = dict[str, FileAnswer | DeployError]


def draw(chosen: picker.Choice, picture: Picture) -> None:
    st.subheader("Every file's answer")
    request = _request(chosen)
    task = Build(request)
    if progress.is_unfinished(progress.follow(task)):
        return
    found = services.store().find(request)
    if set(found) <= {ORIGINAL.key}:
        st.markdown("Does a file for a phone answer as the model does? Build them, and ask each about this picture.")
        if st.button("Build the files", icon=":material/build:", key="build_files"):
            progress.submit(task)
            st.rerun()
        return
    asked = _asked(picture, found)
    missing = [stored for stored in found.values() if stored.key not in asked]
    if missing:
        label = f"Ask {'all ' if len(missing) > 1 else ''}{len(missing)} file{'s' if len(missing) > 1 else ''}"
        if st.button(label, icon=":material/forum:", key="ask_files"):
            _ask(chosen, picture, missing, asked)
    answers = [(stored, asked[stored.key]) for stored in found.values() if stored.key in asked]
    if answers:
        _show(answers)


def _request(chosen: picker.Choice) -> BuildRequest:
    """Every format that this machine can build, with the options that were chosen on the Build page."""
    keys = tuple(key for key, reason in services.abilities().formats.items() if reason is None)
    options = {name: st.session_state[name] for name in ("engine", "optimize") if name in st.session_state}
    return BuildRequest(chosen.spec.reference, chosen.weights, keys, **options)


def _asked(picture: Picture, found: dict[str, Stored]) -> Asked:
    """The answers of this session about this picture, to these files."""
    about = (picture.digest, *sorted(stored.key for stored in found.values()))
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
        st.warning(f"**{', '.join(differing)}** name another class than the original.", icon=":material/difference:")
    elif replies:
        st.markdown(f"All {len(replies)} name the original's class.")
    st.dataframe(
        pd.DataFrame([_row(stored, reply) for stored, reply in answers]),
        hide_index=True,
        column_config={
            "Probability": st.column_config.NumberColumn(format="%.2f %%"),
            "Cosine": st.column_config.NumberColumn(format="%.6f", help="Of the logits, against the original's"),
            "Largest difference": st.column_config.NumberColumn(format="%.4f", help="Of any logit"),
            "Latency": st.column_config.NumberColumn(
                format="%.1f ms", help="The fastest of a few; Profile knows better"
            ),
            "Against the original": st.column_config.NumberColumn(
                format="%.2f ×", help="Its time in that of the original, asked in turn"
            ),
        },
    )
    if _changes(replies):
        st.markdown("**Where the probabilities moved**")
        draw_changes(
            _changes(replies),
            {row.title: row.colour for row in FORMATS.values()},
            "How far each file moved the probabilities",
            "points against the original",
        )
        st.caption("The original's most probable classes, with its probability. Each dot is a file.")
    for stored, reply in answers:
        if isinstance(reply, DeployError):
            st.error(f"**{FORMATS[stored.artifact.format].title}:** {text.plain(str(reply))}", icon=":material/error:")


def _row(stored: Stored, reply: FileAnswer | DeployError) -> dict[str, object]:
    title = FORMATS[stored.artifact.format].title
    if isinstance(reply, DeployError):
        return {"File": title, "Top-1": "no answer"}
    return {
        "File": title,
        "Top-1": reply.top.label,
        "Probability": reply.top.probability * 100,
        "As the original": "yes" if reply.agrees else "NO",
        "Cosine": reply.cosine,
        "Largest difference": reply.max_abs_difference,
        "Latency": reply.milliseconds,
        "Against the original": 1.0
        if reply.format == ORIGINAL.key
        else reply.milliseconds / reply.original_milliseconds,
    }


def _changes(replies: list[FileAnswer]) -> list[Change]:
    return [
        Change(
            f"{seen.label.split(',')[0]} · {seen.original:.1%}",
            (seen.file - seen.original) * 100,
            FORMATS[reply.format].title,
            f"{FORMATS[reply.format].title}: {seen.label} {seen.file:.2%}, "
            f"{(seen.file - seen.original) * 100:+.2f} points",
        )
        for reply in replies
        if reply.format != ORIGINAL.key
        for seen in reply.probabilities
    ]
