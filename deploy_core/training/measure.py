"""Measures the embedded model in every format on the 10,000 test pictures of CIFAR-10, for the model card.

    python -m deploy_core.training.measure --data FOLDER/test.tar.xz

The result is saved next to the weights, and the page Evaluate shows it. It holds none of the pictures.
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
from deploy_core.types import BuildRequest, Event


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the test pictures: test/ or test.tar.xz")
    parser.add_argument("--out", type=Path, default=embedded.SAVED_EVALUATION, help="where the evaluation goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        evaluation = measure(arguments.data, Path(folder), settings.load())
    save_evaluation(replace(evaluation, data="CIFAR-10's test pictures", disagreements=()), arguments.out)
    print(table(evaluation))


def measure(data: Path, folder: Path, limits: Settings) -> Evaluation:
    """Builds the embedded model in every format into ``folder``, and evaluates each file on ``data``."""
    spec = load.find("demo")
    pictures = evaluate.open_pictures(data, spec, limits)
    request = BuildRequest(spec.name, "pretrained", tuple(FORMATS))
    result = build.build_into(folder, request, limits, print_progress)
    subjects = [open_artifact(folder / artifact.file, spec.name, "pretrained") for artifact in result.artifacts]
    return evaluate.evaluate(subjects, pictures, limits, print_progress)


def table(evaluation: Evaluation) -> str:
    lines = ["| format | top-1 | change | top-5 | calibration error |", "| --- | --- | --- | --- | --- |"]
    for result in evaluation.results:
        figures = result.score
        change = f"{result.change.top1 * 100:+.2f}" if result.change else ""
        lines.append(f"| `{result.subject}` | {figures.top1:.2%} | {change} | {figures.top5:.2%} | {figures.ece:.2%} |")
    return "\n".join(lines).replace("%", " %")


def print_progress(event: Event) -> None:
    print(f"[{event.fraction:4.0%}] {event.message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
