"""The confusion matrix of a file, and its most frequent mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from deploy_core.evaluation import scores
from deploy_core.evaluation.results import Evaluation
from pages.charts.matrix import MatrixCell, draw_matrix
from pages.evaluation.words import short, title
from pages.parts.text import escaped

MOST_CLASSES_DRAWN = 20
MOST_PAIRS = 10
ELSEWHERE = "others"


def draw(evaluation: Evaluation) -> None:
    st.header("Confusion matrix")
    by_title = {title(result): result.score for result in evaluation.results}
    name = st.selectbox("File", by_title, key="confusion", filter_mode=None)
    cells, labels = by_title[name].confusion, [short(label) for label in evaluation.labels]
    mistakes = scores.mistakes(cells)[:MOST_PAIRS]
    if not mistakes:
        st.markdown(f"{name} mixes up no classes: all its answers to these pictures are right.")
    elif mistakes[0].count == 1:
        st.markdown("No mistake happened twice, so a matrix would show single pictures. Some of the mistakes:")
        _mistakes(mistakes, cells, labels)
    else:
        worst = mistakes[0]
        st.markdown(
            f"Mixed up most often: **{escaped(labels[worst.true])}** is predicted as "
            f"**{escaped(labels[worst.answered])}** on {worst.count} of {scores.totals(cells)[worst.true]} pictures."
        )
        left, right = st.columns([5, 4], gap="medium")
        with left:
            _matrix(cells, labels, name)
        with right:
            st.markdown("**The most frequent mistakes**")
            _mistakes(mistakes, cells, labels)


def _matrix(cells: tuple[scores.Cell, ...], labels: list[str], name: str) -> None:
    count_of, drawn = scores.totals(cells), scores.excerpt(cells, MOST_CLASSES_DRAWN)
    known = [_cell(labels[cell.true], labels[cell.answered], cell.count, count_of[cell.true]) for cell in drawn.cells]
    others = [_cell(labels[true], ELSEWHERE, count, count_of[true]) for true, count in drawn.elsewhere.items()]
    draw_matrix(
        [*known, *others],
        [labels[index] for index in drawn.rows],
        [labels[index] for index in drawn.columns] + ([ELSEWHERE] if drawn.elsewhere else []),
        f"Confusion matrix of {name}",
        "true class",
        "predicted class",
    )
    st.caption("The numbers count pictures. The shade shows their share of the true class.")
    if len(drawn.rows) < len(count_of):
        st.caption(f"The {len(drawn.rows)} classes that are mixed up most, of {len(count_of)}.")


def _cell(true: str, answer: str, count: int, of: int) -> MatrixCell:
    return MatrixCell(
        true, answer, count / of, str(count), f"{count} of {of}: true class {true}, predicted class {answer}"
    )


def _mistakes(mistakes: Sequence[scores.Cell], cells: tuple[scores.Cell, ...], labels: list[str]) -> None:
    count_of = scores.totals(cells)
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "True class": labels[cell.true],
                    "Predicted class": labels[cell.answered],
                    "Pictures": cell.count,
                    "Share": cell.count / count_of[cell.true] * 100,
                }
                for cell in mistakes
            ]
        ),
        hide_index=True,
        column_config={"Share": st.column_config.NumberColumn(format="%.1f %%", help="Of the true class's pictures")},
    )
