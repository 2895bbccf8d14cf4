"""``classify``: names what a picture shows."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from deploy_core.cli import paths
from deploy_core.cli.outcome import Outcome, table
from deploy_core.cli.progress import tell
from deploy_core.cli.subject import add_model, origin
from deploy_core.inference import classify
from deploy_core.settings import Settings

SUMMARY = "Name what a picture shows."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("source", type=paths.source, metavar="SOURCE", help="a picture file, or an http(s) URL")
    add_model(sub)
    sub.add_argument("--artifact", type=Path, metavar="FILE", help="answer with a built file instead")
    sub.add_argument("--top", type=int, help=f"how many classes to name ({classify.DEFAULT_TOP})")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    if options.artifact is None:
        name = options.model or limits.default_model
        classifier = classify.open_model(name, options.weights or "pretrained", limits, tell)
    else:
        classifier = classify.open_artifact(options.artifact, *origin(options.artifact, options, limits))
    prediction = classifier.classify(options.source, limits, options.top)
    spent = prediction.milliseconds
    lines = [(f"{answer.probability:7.2%}", str(answer.index), answer.label) for answer in prediction.top]
    text = table(("Sure", "Index", "Label"), lines)
    text += f"\n\nread {spent.read:.1f} ms, preprocess {spent.preprocess:.1f} ms, inference {spent.inference:.1f} ms"
    if prediction.weights == "random":
        text += "\nThe weights are random: this answer means nothing. Random weights are for sizes and speeds."
    return dataclasses.asdict(prediction), text, 0
