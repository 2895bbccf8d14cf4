"""The charts of an evaluation: what the files lose, and calibration. Each has its conclusion as its title."""

from __future__ import annotations

import streamlit as st

from deploy_core.evaluation import summary
from deploy_core.evaluation.results import Evaluation
from deploy_core.formats import FORMATS
from deploy_core.shares import percent
from pages.charts.diagonal import DiagonalPoint, draw_diagonal
from pages.charts.intervals import IntervalMark, draw_intervals
from pages.evaluation.words import signed_points, title


def accuracy(evaluation: Evaluation) -> None:
    """The change of each file's top-1. Draws nothing for a model that was evaluated alone."""
    marks = []
    for result in evaluation.results:
        if change := result.change:
            low, high = change.interval
            hint = f"{title(result)}: {signed_points(change.top1)} points"
            colour = FORMATS[result.subject].colour
            marks.append(IntervalMark(title(result), change.top1 * 100, low * 100, high * 100, hint, colour))
    if marks:
        worse = [FORMATS[subject].title for subject in summary.measurably_worse(evaluation)]
        conclusion = (
            f"Measurably worse: {', '.join(worse)}" if worse else "No file is measurably worse than the original"
        )
        draw_intervals(
            marks,
            "Change of each file's top-1 with its 95 % interval",
            "change of top-1 in points, with its 95 % interval",
            origin=0.0,
            title=conclusion,
        )


def calibration(evaluation: Evaluation) -> None:
    """Whether the original's confidence matches its accuracy."""
    original = evaluation.results[0].score
    st.markdown(
        f"**Confidence {percent(original.mean_probability, 1)} on average, accuracy {percent(original.top1, 1)}**"
    )
    draw_diagonal(
        [
            DiagonalPoint(
                group.probability,
                group.accuracy,
                group.count,
                f"{group.count} answers: confidence {percent(group.probability)}, accuracy {percent(group.accuracy)}",
            )
            for group in original.calibration
        ],
        "Confidence of the original's answers against their accuracy",
        "confidence",
        "accuracy",
    )
    st.caption(
        f"The original's calibration error is {percent(original.ece, 1)}. With this number of pictures, a perfectly "
        f"calibrated model has about {percent(original.ece_by_chance, 1)} by chance. On the dashed line confidence "
        "equals accuracy; below it the model is overconfident. A larger dot stands for more pictures."
    )
