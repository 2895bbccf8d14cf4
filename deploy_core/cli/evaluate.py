"""``evaluate``: measures how often a model or a file is right."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy_core.cli import paths
from deploy_core.cli.outcome import Outcome, table
from deploy_core.cli.progress import each_percent, tell
from deploy_core.cli.subject import add_model, origin
from deploy_core.errors import InvalidRequest
from deploy_core.evaluation import evaluate, scores
from deploy_core.evaluation.subjects import open_subject
from deploy_core.models import catalogue, load
from deploy_core.settings import Settings

SUMMARY = "Measure how often a model or an artifact is right about labelled pictures."
UNREADABLE_NAMED = 5


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "subject",
        type=paths.name_or_path,
        metavar="ARTIFACT_OR_MODEL",
        help="a built file, or a name that 'models' lists",
    )
    sub.add_argument(
        "--data", type=Path, required=True, metavar="PATH", help="one folder a class; or a tar or zip of that"
    )
    sub.add_argument(
        "--skip-unknown", action="store_true", help="leave out folders that are named after no class of the model"
    )
    add_model(sub)
    sub.add_argument("--scheduler", metavar="ADDRESS", help="a Dask cluster that does the work: tcp://HOST:PORT")
    sub.add_argument(
        "--shared-data", action="store_true", help="its workers see the folder under the same path, and read it there"
    )


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    what = options.subject
    if what not in catalogue.MODELS:
        model, weights = origin(Path(what), options, limits)
    elif options.model in (None, what):
        model, weights = what, options.weights or "pretrained"
    else:
        raise InvalidRequest(f"{what} is a model, and so is {options.model}.", "Leave --model out.")
    if options.shared_data and not options.scheduler:
        raise InvalidRequest("There is no cluster to share the data with.", "Name its --scheduler.")
    pictures = evaluate.open_pictures(options.data, load.find(model), limits, options.skip_unknown)
    if options.scheduler:
        from deploy_core.evaluation import cluster

        if cluster.is_open(options.scheduler):
            print(
                f"deploy_core: The connection to {options.scheduler} is not encrypted, and anyone who reaches it can "
                "run code there: give a cluster certificates, and name it as tls://HOST:PORT.",
                file=sys.stderr,
            )
        evaluation = cluster.evaluate(
            what, model, weights, pictures, options.scheduler, limits, each_percent(), options.shared_data
        )
    else:
        subject = open_subject(what, model, weights, limits, tell)
        evaluation = evaluate.evaluate([subject], pictures, limits, each_percent())
    (result,) = evaluation.results
    figures = result.score
    document = {
        "model": evaluation.model,
        "weights": evaluation.weights,
        "subject": what,
        "data": str(options.data),
        "count": figures.count,
        "top1": figures.top1,
        "top1_interval": figures.top1_interval,
        "top5": figures.top5,
        "ece": figures.ece,
        "ece_by_chance": figures.ece_by_chance,
        "mean_probability": figures.mean_probability,
        "images_per_second": figures.images_per_second,
        "per_class": figures.per_class,
        "labels": evaluation.labels,
        "confusion": scores.matrix(figures.confusion, len(evaluation.labels)),
        "unreadable": evaluation.unreadable,
        "ignored_files": evaluation.ignored,
        "left_out_folders": evaluation.left_out,
    }
    low, high = figures.top1_interval
    lines = [
        ("model", evaluation.model, f"{evaluation.weights} weights"),
        ("pictures", f"{figures.count}", ""),
        ("top-1", f"{figures.top1:.2%}", f"95 % interval {low:.2%} to {high:.2%}"),
        ("top-5", f"{figures.top5:.2%}", ""),
        (
            "calibration error",
            f"{figures.ece:.2%}",
            f"{figures.ece_by_chance:.2%} by chance; says {figures.mean_probability:.2%} on average",
        ),
        (
            "speed",
            f"{figures.images_per_second:.0f} pictures/s",
            "by the whole cluster" if options.scheduler else "without reading them",
        ),
    ]
    lines += [
        (f"  {name}", "no pictures" if share is None else f"{share:.1%}", "")
        for name, share in figures.per_class.items()
    ]
    text = table((what, "", ""), lines)
    if evaluation.unreadable:
        few = ", ".join(evaluation.unreadable[:UNREADABLE_NAMED])
        more = "" if len(evaluation.unreadable) <= UNREADABLE_NAMED else ", …"
        text += f"\n\nCannot be read, so not counted: {len(evaluation.unreadable)} of the pictures. {few}{more}"
    if evaluation.left_out:
        text += f"\nLeft out, because the model has no such class: {', '.join(evaluation.left_out)}."
    if evaluation.ignored:
        text += f"\nLeft out, because their names are not those of pictures: {evaluation.ignored} of the files."
    if weights == "random":
        text += "\nThe weights are random: these figures mean nothing."
    return document, text, 0
