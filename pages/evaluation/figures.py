"""The figures of an evaluation: a sentence, a table, and what was not counted."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.evaluation import summary, tables
from deploy_core.evaluation.results import Evaluation, Result
from deploy_core.formats import FORMATS
from deploy_core.inference import proof_words
from deploy_core.shares import percent
from pages.evaluation.words import signed_points, title
from pages.parts import proof as proof_parts
from pages.parts.text import escaped

UNREADABLE_NAMED = 20
# The columns that answer the question; a switch shows the others.
MAIN = ("File", "Top-1", "Change", "Other answers", "Verdict")


def headline(evaluation: Evaluation) -> None:
    original = evaluation.results[0].score
    low, high = original.top1_interval
    text = (
        f"{title(evaluation.results[0])}: **{round(original.top1 * original.count):,} of {original.count:,} correct**, "
        f"{percent(original.top1, 1)} (95 % interval: {percent(low, 1)} to {percent(high, 1)})."
    )
    loss = summary.largest_loss(evaluation)
    if loss:
        text += (
            f" {FORMATS[loss.subject].title} loses most: **{signed_points(loss.change)} points**."
            if loss.change < 0
            else " **None of its files loses any** of them."
        )
        text += (
            f" With {original.count:,} pictures a loss of up to {-loss.lowest * 100:.1f} points cannot be ruled out."
        )
    st.markdown(text)
    if evaluation.weights == "random":
        st.warning("The weights are random: these figures mean nothing.", icon=":material/casino:")


def table(evaluation: Evaluation) -> None:
    shows_all = st.session_state.get("evaluation_columns", False)
    st.dataframe(
        pd.DataFrame([_line(result) for result in evaluation.results]),
        hide_index=True,
        column_order=None if shows_all else MAIN,
        column_config={
            "Top-1": st.column_config.NumberColumn(
                format="%.1f %%", help="Share of the pictures whose true class comes first"
            ),
            "95 %": st.column_config.TextColumn(help="95 % confidence interval of the top-1"),
            "Change": st.column_config.TextColumn(
                help="Of the top-1 against the original, in points, with its 95 % interval; on the same pictures"
            ),
            "Other answers": st.column_config.TextColumn(
                help="Pictures to which the file's first answer is not the original's, right or wrong"
            ),
            "Verdict": st.column_config.TextColumn(
                help="Against the original, on these pictures, as on the page Build"
            ),
            "Won, lost": st.column_config.TextColumn(
                help="Pictures that only this file, or only the original, has right"
            ),
            "Top-5": st.column_config.NumberColumn(format="%.1f %%"),
            "Calibration error": st.column_config.NumberColumn(format="%.1f %%"),
            "Pictures/s": st.column_config.NumberColumn(
                format="%.0f", help="On this server, without reading them; int8 one at a time, float in batches"
            ),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.toggle("Show all columns", key="evaluation_columns")
        st.download_button(
            "Table as CSV",
            tables.as_csv(evaluation),
            f"{evaluation.model}_evaluation.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _line(result: Result) -> dict[str, object]:
    score, change = result.score, result.change
    low, high = score.top1_interval
    changed = flipped = won = ""
    if change:
        lowest, highest = (signed_points(bound) for bound in change.interval)
        changed = f"{signed_points(change.top1)} ({lowest} to {highest})" if change.gained or change.lost else "none"
        won = f"{change.gained}, {change.lost}"
        flipped = f"{change.flipped} ({percent(change.flipped / score.count, 1)})" if change.flipped else "none"
    return {
        "File": title(result),
        "Top-1": score.top1 * 100,
        "Change": changed,
        "Other answers": flipped,
        "Verdict": proof_words.verdict(result.proof) if result.proof else "the original",
        "95 %": f"{low * 100:.1f} to {high * 100:.1f}",
        "Won, lost": won,
        "Top-5": score.top5 * 100,
        "Calibration error": score.ece * 100,
        "Pictures/s": score.images_per_second,
    }


def verdicts(evaluation: Evaluation) -> None:
    """For each file: how far its answers are from the original's on these pictures."""
    proven = [result for result in evaluation.results if result.proof]
    if not proven:
        return
    with st.expander("How far are the files from the original?"):
        for result in proven:
            if result.proof:
                proof_parts.verdict(title(result), result.proof)
                proof_parts.figures(result.proof)


def not_counted(evaluation: Evaluation) -> None:
    """What was left out: folders of no class, unreadable pictures, and files that are no pictures."""
    if evaluation.left_out:
        st.warning(
            "Left out, because the model has no such class: "
            f"**{', '.join(escaped(name) for name in evaluation.left_out)}**.",
            icon=":material/folder_off:",
        )
    if evaluation.unreadable:
        names = [escaped(name) for name in evaluation.unreadable[:UNREADABLE_NAMED]]
        if len(evaluation.unreadable) > UNREADABLE_NAMED:
            names.append("…")
        st.warning(
            f"Cannot be read, so not counted: **{len(evaluation.unreadable)}** of the pictures. {', '.join(names)}",
            icon=":material/broken_image:",
        )
    empty = summary.classes_without_pictures(evaluation)
    if empty:
        st.caption(f"No pictures in: {', '.join(escaped(name) for name in empty)}.")
    if evaluation.ignored:
        st.caption(f"Left out, because their names are not those of pictures: {evaluation.ignored} of the files.")
