"""``python -m deploy_core``: the contract that scripts call.

``--json`` prints one JSON document on standard output; progress and logs go to standard error. A mistake of the
person's is one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from deploy_core import build, documents, files, settings
from deploy_core.bundle import write
from deploy_core.errors import DeployError, InvalidArtifact, InvalidCheckpoint, InvalidRequest
from deploy_core.evaluation import evaluate, scores
from deploy_core.evaluation.subjects import open_subject
from deploy_core.formats import FORMATS, by_filename
from deploy_core.inference import classify
from deploy_core.models import catalogue, hub, load
from deploy_core.models.hub import HubName
from deploy_core.models.own import bring
from deploy_core.models.spec import ModelSpec
from deploy_core.profile.measure.run import BATCHES, BUDGET_SECONDS, Options, profile
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.record.saved import read_record
from deploy_core.profile.verdict import compare, tables, verdicts
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildRequest, BuildResult, Event, Progress, Unbuilt

# The JSON document, the text for people, and the exit status.
Outcome = tuple[Any, str, int]
UNREADABLE_NAMED = 5
OPERATORS_TOLD = 12
LABELS_TOLD = 5
# Kinds of app code whose files are programs.
PROGRAMS = ("torchscript", "lite")
EXIT_INCOMPLETE = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace, Settings], Outcome] = options.command
        document, text, status = command(options, settings.load())
    except DeployError as error:
        print(f"deploy_core: {error}".replace("\n", " "), file=sys.stderr)
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        print("deploy_core: interrupted; nothing half-written was left.", file=sys.stderr)
        return EXIT_INTERRUPTED
    try:
        print(json.dumps(document, indent=2) if options.json else text, flush=True)
    except OSError as error:
        # Python would complain once more when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"deploy_core: The answer could not be written ({error.strerror}).", file=sys.stderr)
            return EXIT_MISTAKE
    return status


def _models(_: argparse.Namespace, __: Settings) -> Outcome:
    rows = [
        {
            "name": spec.name,
            "source": spec.source,
            "parameters": spec.parameters,
            "input_size": spec.input_size,
            "classes": spec.classes,
        }
        for spec in catalogue.MODELS.values()
    ]
    lines = [
        (spec.name, f"{spec.parameters / 1e6:.1f} M", f"{spec.input_size} px", spec.knows, _where(spec))
        for spec in catalogue.MODELS.values()
    ]
    return rows, _table(("Model", "Parameters", "Input", "Knows", "Weights"), lines), 0


def _classify(options: argparse.Namespace, limits: Settings) -> Outcome:
    if options.artifact is None:
        name = options.model or limits.default_model
        classifier = classify.open_model(name, options.weights or "pretrained", limits, _tell)
    else:
        classifier = classify.open_artifact(options.artifact, *_origin(options.artifact, options, limits))
    prediction = classifier.classify(options.source, limits, options.top)
    spent = prediction.milliseconds
    lines = [(f"{answer.probability:7.2%}", str(answer.index), answer.label) for answer in prediction.top]
    text = _table(("Sure", "Index", "Label"), lines)
    text += f"\n\nread {spent.read:.1f} ms, preprocess {spent.preprocess:.1f} ms, inference {spent.inference:.1f} ms"
    if prediction.weights == "random":
        text += "\nThe weights are random: this answer means nothing. Random weights are for sizes and speeds."
    return dataclasses.asdict(prediction), text, 0


def _origin(path: Path, options: argparse.Namespace, limits: Settings) -> tuple[str, str]:
    """The model and weights that an artifact was built from: what the build beside it says, else the options."""
    if by_filename(path).app_code in PROGRAMS:
        _warn(f"{path.name} is a TorchScript program, and loading it runs it")
    try:
        built = build.read_result(path.parent)
    except DeployError:
        built = None
    if built is None or path.name not in {artifact.file for artifact in built.artifacts}:
        return options.model or _model_within(path) or limits.default_model, options.weights or "unknown"
    for option, told, true in (("--model", options.model, built.model), ("--weights", options.weights, built.weights)):
        if told not in (None, true):
            raise InvalidRequest(f"{path.name} was built with {option} {true}, not {told}.", f"Leave {option} out.")
    return built.model, built.weights


def _warn(what: str) -> None:
    print(f"deploy_core: {what}: give only files of somebody you trust.", file=sys.stderr)


def _model_within(path: Path) -> str | None:
    """One's own model, where the file says what it holds."""
    try:
        return bring.read(path).reference if bring.is_reference(path.name) else None
    except InvalidCheckpoint:
        return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read.", "Check its path.") from error


def _import(options: argparse.Namespace, limits: Settings) -> Outcome:
    labels = bring.parse_labels(_read(options.labels)) if options.labels else None
    told = bring.Corrections(
        heads=options.heads,
        size=options.size,
        resize=options.resize,
        crop_mode=options.crop_mode,
        normalization=options.normalization,
        labels=labels,
    )
    text = options.checkpoint
    source = HubName.parse(text) if text.startswith(hub.PREFIX) else settings.expanded(text)
    spec = bring.bring(source, options.out, limits, told, _tell)
    shape = spec.architecture
    document = {
        "file": spec.reference,
        "name": spec.name,
        "parameters": spec.parameters,
        "architecture": documents.plain(shape),
        "preprocessing": documents.plain(spec.preprocessing),
        "labels": spec.own_labels,
    }
    few = ", ".join(spec.own_labels[:LABELS_TOLD]) + (", …" if spec.classes > LABELS_TOLD else "")
    return document, f"{spec.reference}: {bring.described(spec)}\nLabels: {few}", 0


def _build(options: argparse.Namespace, limits: Settings) -> Outcome:
    keys = tuple(FORMATS) if options.formats == "all" else tuple(key.strip() for key in options.formats.split(","))
    model = options.model or limits.default_model
    request = BuildRequest(model, options.weights or "pretrained", keys, options.engine, options.optimize)
    result = build.build_into(options.out, request, limits, _tell)
    document = {
        "model": load.find(result.model).name,
        "weights": result.weights,
        "engine": result.engine,
        "optimize": result.optimize,
        "folder": str(options.out),
        "reference_picture": result.reference_pictures[0],
        "reference_pictures": result.reference_pictures,
        "artifacts": [_row_of_artifact(artifact) for artifact in result.artifacts]
        + [_row_of_unbuilt(unbuilt) for unbuilt in result.unbuilt],
    }
    lines = [
        (
            FORMATS[artifact.format].title,
            f"{artifact.bytes / 1e6:.2f} MB",
            f"{artifact.seconds.build:.1f} s",
            f"{artifact.faithfulness.top1_agreement:.0%}",
            f"{artifact.faithfulness.cosine:.5f}",
            f"{artifact.faithfulness.max_abs_difference:.4f}",
            "DISAGREES" if artifact.disagrees else "yes",
            artifact.file,
        )
        for artifact in result.artifacts
    ]
    head = ("Format", "Size", "Built in", "Same top-1", "Cosine", "Difference", "Faithful", f"File in {options.out}")
    text = _table(head, lines)
    for unbuilt in result.unbuilt:
        text += f"\n{FORMATS[unbuilt.format].title}: {_why(unbuilt)} {unbuilt.reason}"
    failed = any(unbuilt.is_available for unbuilt in result.unbuilt)
    return document, text, EXIT_INCOMPLETE if failed else 0


def _row_of_artifact(artifact: Artifact) -> dict[str, Any]:
    faithfulness, delegation = artifact.faithfulness, artifact.delegation
    return {
        "format": artifact.format,
        "available": True,
        "error": None,
        "file": artifact.file,
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
        "seconds": artifact.seconds.build,
        "sync_seconds": artifact.seconds.sync,
        "check_seconds": artifact.seconds.check,
        "cosine": faithfulness.cosine,
        "max_abs_difference": faithfulness.max_abs_difference,
        "same_top1": faithfulness.same_top1,
        "top1_agreement": faithfulness.top1_agreement,
        "top5_overlap": faithfulness.top5_overlap,
        "disagrees": artifact.disagrees,
        "relative_time": artifact.relative_time,
        "delegated_percent": delegation.percent if delegation else None,
        "undelegated": delegation.undelegated if delegation else None,
        "findings": documents.plain(artifact.findings),
    }


def _row_of_unbuilt(unbuilt: Unbuilt) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("file", "bytes", "sha256", "seconds", "cosine", "max_abs_difference", "same_top1", "top1_agreement")
    )
    row = {"format": unbuilt.format, "available": unbuilt.is_available, "error": unbuilt.reason}
    return row | empty | {"delegated_percent": None}


def _why(unbuilt: Unbuilt) -> str:
    return "failed." if unbuilt.is_available else "not available here."


def _profile(options: argparse.Namespace, limits: Settings) -> Outcome:
    result = build.read_result(options.folder)
    paths = {artifact.format: options.folder / artifact.file for artifact in result.artifacts}
    asked = Options(
        threads=options.threads,
        batches=options.batch,
        seconds=options.budget,
        rounds=options.repeats,
        traces=options.trace,
    )
    run = profile(result, paths, limits, asked, _each_percent())
    text = f"{_table(tables.HEAD, tables.cells(run))}\n\n{_table(tables.rates_head(run), tables.rates(run))}"
    text += "\n".join(["\n", tables.host_line(run), verdicts.certainty(run), *tables.unmeasured(run)])
    if options.operators:
        text += "".join(f"\n\n{_operators(row)}" for row in run.rows)
    if options.save:
        print(f"Saved as run {Runs(limits).keep(run, options.trace)}.", file=sys.stderr)
    return documents.plain(run), text, EXIT_INCOMPLETE if run.unmeasured else 0


def _operators(row: Row) -> str:
    title = FORMATS[row.format].title
    if not row.operators:
        delegated = "" if row.delegated_percent is None else f" Its delegate has {row.delegated_percent:.0f} % of them."
        return f"{title}: its runtime does not tell the time of its operators.{delegated}"
    lines = [
        (operator.name, operator.group, f"{operator.self_ms:.3f} ms", f"{operator.calls:g}")
        for operator in row.operators[:OPERATORS_TOLD]
    ]
    return _table((title, "Kind", "Self time", "Calls"), lines)


def _compare(options: argparse.Namespace, limits: Settings) -> Outcome:
    first, second = (_run(name, limits) for name in (options.first, options.second))
    found = compare.compare(first, second)
    lines = [
        (
            FORMATS[change.format].title,
            f"{change.first.median_ms:.2f} ms",
            f"{change.second.median_ms:.2f} ms",
            change.ratio_text,
            f"{change.relative_ratio:.2f} x",
            change.text,
        )
        for change in found.changes
    ]
    head = ("Model", "First run", "Second run", "Second / first", "Against its original", "So it is")
    document = {
        "first": found.first.run_id,
        "second": found.second.run_id,
        "same_files": found.same_files,
        "same_host": found.same_host,
        "left_out": found.left_out,
        "changes": [
            {
                "format": change.format,
                "first_ms": change.first.median_ms,
                "second_ms": change.second.median_ms,
                "ratio": change.ratio,
                "interval": change.interval,
                "relative_ratio": change.relative_ratio,
                "is_tie": change.is_tie,
                "finding": change.outcome.value,
            }
            for change in found.changes
        ],
    }
    return document, f"{found.text}\n\n{_table(head, lines)}", 0


def _run(name: str, limits: Settings) -> Record:
    """A run by its file, or by its key among those that were saved."""
    path = Path(name)
    return read_record(path) if files.is_file(path) else Runs(limits).get(name)


def _evaluate(options: argparse.Namespace, limits: Settings) -> Outcome:
    what = options.subject
    if what not in catalogue.MODELS:
        model, weights = _origin(Path(what), options, limits)
    elif options.model in (None, what):
        model, weights = what, options.weights or "pretrained"
    else:
        raise InvalidRequest(f"{what} is a model, and so is {options.model}.", "Leave --model out.")
    if options.shared_data and not options.scheduler:
        raise InvalidRequest("There is no cluster to share the data with.", "Name its --scheduler.")
    pictures = evaluate.open_pictures(options.data, load.find(model), limits)
    if options.scheduler:
        from deploy_core.evaluation import cluster

        if cluster.is_open(options.scheduler):
            print(
                f"deploy_core: The connection to {options.scheduler} is not encrypted, and whoever reaches it can run "
                "code there: give a cluster certificates, and name it as tls://HOST:PORT.",
                file=sys.stderr,
            )
        evaluation = cluster.evaluate(
            what, model, weights, pictures, options.scheduler, limits, _each_percent(), options.shared_data
        )
    else:
        subject = open_subject(what, model, weights, limits, _tell)
        evaluation = evaluate.evaluate([subject], pictures, limits, _each_percent())
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
        "mean_probability": figures.mean_probability,
        "images_per_second": figures.images_per_second,
        "per_class": figures.per_class,
        "labels": evaluation.labels,
        "confusion": scores.matrix(figures.confusion, len(evaluation.labels)),
        "unreadable": evaluation.unreadable,
        "ignored_files": evaluation.ignored,
    }
    low, high = figures.top1_interval
    lines = [
        ("model", evaluation.model, f"{evaluation.weights} weights"),
        ("pictures", f"{figures.count}", ""),
        ("top-1", f"{figures.top1:.2%}", f"95 % interval {low:.2%} to {high:.2%}"),
        ("top-5", f"{figures.top5:.2%}", ""),
        ("calibration error", f"{figures.ece:.2%}", f"says {figures.mean_probability:.2%} on average"),
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
    text = _table((what, "", ""), lines)
    if evaluation.unreadable:
        few = ", ".join(evaluation.unreadable[:UNREADABLE_NAMED])
        more = "" if len(evaluation.unreadable) <= UNREADABLE_NAMED else ", …"
        text += f"\n\nCannot be read, so not counted: {len(evaluation.unreadable)} of the pictures. {few}{more}"
    if evaluation.ignored:
        text += f"\nLeft out, because their names are not those of pictures: {evaluation.ignored} of the files."
    if weights == "random":
        text += "\nThe weights are random: these figures mean nothing."
    return document, text, 0


def _bundle(options: argparse.Namespace, limits: Settings) -> Outcome:
    path: Path = options.artifact
    result, artifact = _built(path, limits)
    spec = load.find(result.model)
    out = options.out or path.with_name(f"{path.stem}_bundle.zip")
    sample = write.sample(path, artifact, result.model, limits)
    write.write(path, artifact, result, sample, catalogue.labels(spec), spec.preprocessing, out)
    document = {"artifact": str(path), "bundle": str(out), "bytes": out.stat().st_size}
    return document, f"{out}: {out.stat().st_size / 1e6:.2f} MB", 0


def _built(path: Path, limits: Settings) -> tuple[BuildResult, Artifact]:
    """What is known of a built file: from the store that it lies in, or from the manifest beside it."""
    store = Store(limits)
    stored = store.entry(path.absolute().parent.name) if path.absolute().parent.parent == store.root else None
    result = store.result(stored.record.request) if stored else build.read_result(path.parent)
    for artifact in result.artifacts:
        if artifact.file == path.name:
            return result, artifact
    raise InvalidArtifact(f"{path} is not part of the build beside it.", "Name a file that 'build' wrote.")


def _verify(options: argparse.Namespace, limits: Settings) -> Outcome:
    _warn("A bundle may hold a TorchScript program, and verifying runs it")
    check = write.verify(options.bundle, limits)
    return documents.plain(check), check.text, 0 if check.holds else EXIT_INCOMPLETE


def _store(options: argparse.Namespace, limits: Settings) -> Outcome:
    store = Store(limits)
    if options.clear:
        store.clear()
    entries = store.entries()
    document = {
        "folder": str(store.root),
        "bytes": store.size(),
        "limit": limits.store_bytes,
        "artifacts": [
            {
                "key": stored.key,
                "model": stored.record.request.model,
                "weights": stored.record.request.weights,
                "format": stored.artifact.format,
                "file": str(stored.path),
                "bytes": stored.artifact.bytes,
                "sha256": stored.artifact.sha256,
            }
            for stored in entries
        ],
    }
    lines = [(stored.key, f"{stored.artifact.bytes / 1e6:.2f} MB", stored.artifact.file) for stored in entries]
    text = _table(("Artifact, the last used first", "Size", "File"), lines)
    text += f"\n\n{store.size() / 1e6:.2f} of {limits.store_bytes / 1e6:.0f} MB in {store.root}"
    if options.clear and entries:
        text += "\nWhat is listed is in use, and was spared."
    return document, text, 0


def _where(spec: ModelSpec) -> str:
    if spec.is_embedded:
        return "embedded"
    return "in the local cache" if spec.is_here() else f"{spec.download_bytes / 1e6:.0f} MB from the Hub"


def _tell(event: Event) -> None:
    print(f"[{event.fraction:4.0%}] {event.message}", file=sys.stderr, flush=True)


def _each_percent() -> Progress:
    """Tells an event only where the percentage has changed."""
    told: list[str] = []

    def tell(event: Event) -> None:
        percent = f"{event.fraction:.0%}"
        if percent not in told:
            told[:] = [percent]
            _tell(event)

    return tell


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{message[0].upper()}{message[1:]}.", f"See '{self.prog} --help'.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m deploy_core", description="From a DeiT checkpoint to a file that runs on a phone.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace, Settings], Outcome], summary: str) -> _Parser:
        sub: _Parser = commands.add_parser(name, help=summary, description=summary)
        sub.add_argument("--json", action="store_true", help="one JSON document on standard output")
        sub.set_defaults(command=command)
        return sub

    add("models", _models, "List the models of the catalogue.")

    sub = add("classify", _classify, "Name what a picture shows.")
    sub.add_argument("source", metavar="SOURCE", help="a picture file, or an http(s) URL")
    _add_model(sub)
    sub.add_argument("--artifact", type=Path, metavar="FILE", help="answer with a built file instead")
    sub.add_argument("--top", type=int, help=f"how many classes to name ({classify.USUAL_TOP})")

    sub = add("import", _import, "Make a model file of a fine-tuned DeiT, for --model.")
    sub.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors, .pth or .pt file, or hf-hub:OWNER/NAME")
    sub.add_argument("--labels", type=Path, metavar="FILE", help="one label a line, or JSON (the checkpoint's own)")
    sub.add_argument("--heads", type=int, help="attention heads, which no shape tells (one for 64 of width)")
    sub.add_argument("--size", type=int, help="pixels of the input's side (as trained)")
    sub.add_argument("--resize", type=int, help="pixels of a picture's short side before the center crop")
    sub.add_argument(
        "--crop-mode", choices=bring.CROP_MODES, help="squash: both sides are resized, not the short one alone (center)"
    )
    names = ", ".join(bring.NORMALIZATIONS)
    sub.add_argument("--normalization", metavar="NAME", help=f"of the input: {names} (the checkpoint's own)")
    sub.add_argument("--out", type=Path, default=Path("models"), metavar="DIR", help="folder to write to (models)")

    sub = add("build", _build, "Build the deployable artifacts and check them against the original.")
    _add_model(sub)
    sub.add_argument("--formats", default="all", help=f"all, or some of: {','.join(FORMATS)}")
    sub.add_argument("--engine", default="qnnpack", help="quantized engine to build under: qnnpack (phones) or x86")
    sub.add_argument("--optimize", default="default", help="default, or the tutorial's slower way")
    sub.add_argument(
        "--out", type=Path, default=Path("artifacts"), metavar="DIR", help="folder to write to (artifacts)"
    )

    sub = add("profile", _profile, "Time the artifacts of a build side by side.")
    sub.add_argument("folder", type=Path, metavar="DIR", help="a folder that 'build' wrote")
    sub.add_argument("--budget", type=float, default=BUDGET_SECONDS, metavar="SECONDS", help="most time (60)")
    sub.add_argument("--repeats", type=int, help="exactly so many rounds, instead of until the ratios are known")
    sub.add_argument("--threads", type=_numbers, default=(), metavar="N,N", help="the first for everything (all cores)")
    sub.add_argument("--batch", type=_numbers, default=BATCHES, metavar="N,N", help="batches (1,2,4,8)")
    sub.add_argument("--operators", action="store_true", help="print where the time goes inside each file")
    sub.add_argument("--trace", type=Path, metavar="DIR", help="write a Chrome trace of each file there")
    sub.add_argument("--save", action="store_true", help="keep the run where the app shows it")

    sub = add("compare", _compare, "Compare two runs: two machines, or before and after.")
    sub.add_argument("first", metavar="RUN", help="what 'profile --json' wrote, or the name of a saved run")
    sub.add_argument("second", metavar="RUN")

    sub = add("evaluate", _evaluate, "Measure how often a model or an artifact is right about labelled pictures.")
    sub.add_argument("subject", metavar="ARTIFACT_OR_MODEL", help="a built file, or a name that 'models' lists")
    sub.add_argument(
        "--data", type=Path, required=True, metavar="PATH", help="one folder a class; or a tar or zip of that"
    )
    _add_model(sub)
    sub.add_argument("--scheduler", metavar="ADDRESS", help="a Dask cluster that does the work: tcp://HOST:PORT")
    sub.add_argument(
        "--shared-data", action="store_true", help="its workers see the folder under the same path, and read it there"
    )

    sub = add("bundle", _bundle, "Zip a built file with what an app needs: labels, preprocessing, code, a test.")
    sub.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a file that 'build' wrote")
    sub.add_argument("--out", type=Path, metavar="FILE", help="the zip to write (beside the artifact)")

    sub = add("verify", _verify, "Ask a bundle's file again, and say whether its expected answers hold.")
    sub.add_argument("bundle", type=Path, metavar="BUNDLE", help="a zip that 'bundle' wrote, from somebody you trust")

    sub = add("store", _store, "List what the app has built and keeps.")
    sub.add_argument("--clear", action="store_true", help="remove what is not in use")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers such as 1,2,4") from error


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--model", help="a name that 'models' lists (demo), or a file that 'import' wrote")
    sub.add_argument("--weights", help="pretrained (the default), random, or a checkpoint file")
