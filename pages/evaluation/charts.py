"""The charts of an evaluation: top-1 with its intervals, and calibration."""

from __future__ import annotations

import streamlit as st

from deploy_core.evaluation.results import Evaluation
from pages.charts.diagonal import DiagonalPoint, draw_diagonal
from pages.charts.intervals import IntervalMark, draw_intervals
from pages.evaluation.words import title


def accuracy(evaluation: Evaluation) -> None:
    st.markdown("**Top-1 with its 95 % interval**")
    marks = []
    for result in evaluation.results:
        low, high = result.score.top1_interval
        hint = f"{title(result)}: {result.score.top1:.2%}"
        marks.append(IntervalMark(title(result), result.score.top1 * 100, low * 100, high * 100, hint))
    draw_intervals(marks, "Top-1 of each file with its 95 % interval", "top-1, %")


def calibration(evaluation: Evaluation) -> None:
    st.markdown("**Is it as sure as it is right?**")
    original = evaluation.results[0].score
    draw_diagonal(
        [
            DiagonalPoint(
                group.probability,
                group.accuracy,
                group.count,
                f"{group.count} answers are {group.probability:.0%} sure on average; {group.accuracy:.0%} are right",
            )
            for group in original.calibration
        ],
        "Certainty of the original's answers against how often they are right",
        "how sure it is",
        "how often it is right",
    )
    st.caption(
        f"{title(evaluation.results[0])}: calibration error {original.ece:.1%}. With this number of pictures "
        f"a perfectly calibrated model has about {original.ece_by_chance:.1%}, by chance. On the dashed line it is as "
        "sure as it is right; below the line it is too sure. A larger dot stands for more pictures."
    )
