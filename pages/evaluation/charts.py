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
    st.markdown("**Calibration: does its confidence match its accuracy?**")
    original = evaluation.results[0].score
    draw_diagonal(
        [
            DiagonalPoint(
                group.probability,
                group.accuracy,
                group.count,
                f"{group.count} answers: confidence {group.probability:.0%}, accuracy {group.accuracy:.0%}",
            )
            for group in original.calibration
        ],
        "Confidence of the original's answers against their accuracy",
        "confidence",
        "accuracy",
    )
    st.caption(
        f"{title(evaluation.results[0])}: calibration error {original.ece:.1%}. With this number of pictures "
        f"a perfectly calibrated model has about {original.ece_by_chance:.1%}, by chance. On the dashed line "
        "confidence equals accuracy; below it the model is overconfident. A larger dot stands for more pictures."
    )
