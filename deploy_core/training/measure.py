"""Measures the embedded model in every format on labelled photographs, for the model card.

    python -m deploy_core.training.measure --data labelled_500.tar [--save]

With ``--save`` the result is put next to the weights, and the page Evaluate shows it. It holds none of the pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from deploy_core import build, embedded, settings
from deploy_core.evaluation import evaluate
from deploy_core.evaluation.results import Evaluation, save_evaluation
from deploy_core.evaluation.subjects import open_artifact
from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.shares import wilson
from deploy_core.types import BuildRequest, Event


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="photographs in one folder for each class")
    parser.add_argument("--save", action="store_true", help="show this evaluation on the page Evaluate")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        evaluation = measure(arguments.data, Path(folder), settings.load())
    if arguments.save:
        save_evaluation(replace(evaluation, disagreements=()), embedded.SAVED_EVALUATION)
    print(table(evaluation))


def measure(data: Path, folder: Path, limits: Settings) -> Evaluation:
    """Builds the embedded model in every format into ``folder``, and evaluates each file on ``data``."""
    spec = load.find("demo")
    pictures = evaluate.open_pictures(data, spec, limits)
    request = BuildRequest(spec.name, "pretrained", tuple(key for key, row in FORMATS.items() if row.runs_here))
    result = build.build_into(folder, request, limits, print_progress)
    subjects = [open_artifact(folder / artifact.file, spec.name, "pretrained") for artifact in result.artifacts]
    return evaluate.evaluate(subjects, pictures, limits, print_progress)


def table(evaluation: Evaluation) -> str:
    """One line a format, in Markdown: the change of top-1 in points, and flipped labels, with their 95 % intervals."""
    lines = [
        "| format | top-1 | change | other answers | top-5 | calibration error |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in evaluation.results:
        figures, change = result.score, result.change
        changed = flipped = ""
        if change:
            low, high = (bound * 100 for bound in change.interval)
            changed = f"{change.top1 * 100:+.1f} ({low:+.1f} to {high:+.1f})"
            least, most = wilson(change.flipped, figures.count)
            flipped = f"{change.flipped}, {change.flipped / figures.count:.1%} ({least:.1%} to {most:.1%})"
        lines.append(
            f"| `{result.subject}` | {figures.top1:.1%} | {changed} | {flipped} | {figures.top5:.1%} | "
            f"{figures.ece:.1%} |"
        )
    return "\n".join(lines).replace("%", " %")


def print_progress(event: Event) -> None:
    print(f"[{event.fraction:4.0%}] {event.message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
