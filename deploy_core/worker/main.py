"""``python -m deploy_core.worker.main FD NICENESS AT_ONCE``: the app's work in processes of its own, a table of tasks.

``task_server.serve`` takes the orders.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import build, documents, memory
from deploy_core.errors import DeployError, InvalidArtifact
from deploy_core.evaluation import evaluate
from deploy_core.files import make_folder
from deploy_core.formats import FORMATS, engines, in_build_order
from deploy_core.inference import attention, capacity, classify, replies, verify
from deploy_core.inference.classify import Classifier
from deploy_core.inference.open_models import OpenModels
from deploy_core.models import hub, load
from deploy_core.models.hub import HubName
from deploy_core.models.own import card
from deploy_core.models.own.corrections import Corrections, from_timm_config
from deploy_core.pictures.pool import Prepared
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.processes.server import TaskRunner, serve
from deploy_core.profile.measure import alone, rounds
from deploy_core.profile.measure.host import usable_cpus
from deploy_core.profile.measure.mark import Mark
from deploy_core.profile.measure.rounds import Until
from deploy_core.profile.measure.run import Options, profile
from deploy_core.profile.record.runs import Runs
from deploy_core.settings import Settings
from deploy_core.storage import uploads, visitors
from deploy_core.storage.store import Store
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.types import BuildRequest, BuildResult, Event, Progress, part_of
from deploy_core.worker.intake import READ_SECONDS, reader_process, take_in_task

if TYPE_CHECKING:
    import torch

MODELS_IN_MEMORY = 2


def run_build(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    return documents.plain(_build(_wanted(request, limits), limits, progress))


def run_profile(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """Builds what is missing first. Building and measuring are for other processes, so that this one stays small."""
    wanted = _wanted(request, limits)
    store = Store(limits)
    with store.shelf(wanted) as shelf:
        result = _built_elsewhere(store, wanted, limits, part_of(progress, 0.0, 0.3))
        held = [shelf.find(FORMATS[artifact.format]) for artifact in result.artifacts]
        if None in held:
            raise InvalidArtifact("A file was removed before it could be measured.", "Try again.")
        paths = {artifact.format: shelf.path(FORMATS[artifact.format]) for artifact in result.artifacts}
        cores = usable_cpus()
        threads = tuple(dict.fromkeys((min(limits.cpu_threads or cores, cores), 1)))
        with tempfile.TemporaryDirectory(dir=make_folder(limits.home / "runs"), prefix=".", suffix=".part") as traces:
            options = Options(threads=threads, seconds=request["seconds"], traces=Path(traces))
            run = profile(result, paths, limits, options, part_of(progress, 0.3, 1.0))
            return Runs(limits).keep(run, Path(traces), load.find(wanted.model).owner)


def _built_elsewhere(store: Store, wanted: BuildRequest, limits: Settings, progress: Progress) -> BuildResult:
    if len(store.find(wanted)) == len(in_build_order(wanted.formats)):
        return store.result(wanted)
    builder = WorkerProcess("worker", limits)
    try:
        handle = builder.submit(Task("build", {"build": documents.plain(wanted)}))
        for event in handle.events():
            progress(event)
        return documents.structured(handle.result(), BuildResult)
    finally:
        builder.close()


def run_examine(request: dict[str, Any], _: bytes, limits: Settings, __: Progress) -> Any:
    """A part of a profile, which wants a fresh process."""
    picture = verify.reference(load.find(request["model"]), limits).tensor
    trace = Path(request["trace"]) if request["trace"] else None
    found = alone.examine(
        Path(request["path"]), request["format"], picture, request["batches"], request["threads"], trace
    )
    return documents.plain(found)


def run_take_turns(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """A part of a profile, which wants a fresh process."""
    import torch

    torch.set_num_threads(request["threads"])
    picture = verify.reference(load.find(request["model"]), limits).tensor
    progress(Event("Loading the artifacts", 0.0))
    runs: dict[str, Callable[[], object]] = {}
    failed: dict[str, str] = {}
    in_hand = Mark(Path(request["in_hand"]))
    with torch.inference_mode():
        for name, (key, path) in request["contenders"].items():
            in_hand.set(name)
            try:
                runs[name] = partial(FORMATS[key].load(Path(path)), picture)
            except DeployError as error:
                if not runs:
                    raise
                failed[name] = str(error)
        until = documents.structured(request["until"], Until)
        found = rounds.take_turns(runs, until, progress, announce=in_hand.set)
    return documents.plain(replace(found, failed=failed | found.failed))


def run_evaluate(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """Builds what is missing first; ``name`` is what the visitor calls the pictures at the path ``pictures``."""
    wanted = _wanted(request, limits)
    path = Path(request["pictures"])
    uploads.require_given(path, limits)
    pictures = evaluate.open_pictures(path, load.find(wanted.model), limits)
    store = Store(limits)
    with store.shelf(wanted) as shelf:
        result = build.build(wanted, shelf, limits, part_of(progress, 0.0, 0.2))
        subjects = [
            evaluate.open_artifact(shelf.path(FORMATS[artifact.format]), wanted.model, wanted.weights)
            for artifact in result.artifacts
        ]
        evaluation = evaluate.evaluate(subjects, pictures, limits, part_of(progress, 0.2, 1.0))
    store.keep_evaluation(wanted, path, replace(evaluation, data=request["name"]))
    return None


def run_download(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    spec = load.find(request["model"])
    if spec.hub_id is not None:
        hub.download(spec.hub_id, progress, limits)
    return None


def run_classify(request: dict[str, Any], tensor: bytes, limits: Settings, _: Progress) -> Any:
    picture = Prepared(tensor, request["read"], request["preprocess"])
    classifier = _original(request, limits)
    return documents.plain(classifier.classify_prepared(picture, request["name"], request["top"]))


def run_attention(request: dict[str, Any], tensor: bytes, limits: Settings, _: Progress) -> Any:
    model = _original(request, limits)
    return attention.rollout(model.module, model.spec.family, _input(tensor, model)).tolist()


def run_reply(request: dict[str, Any], tensor: bytes, limits: Settings, _: Progress) -> Any:
    """The file is read for this one answer, so that no visitor's choice of files stays in memory."""
    original = _original(request, limits)
    with Store(limits).reading(request["key"]) as stored:
        file = classify.open_artifact(stored.path, request["model"], request["weights"])
        found = replies.reply(stored.artifact.format, file, original, _input(tensor, original))
    del file
    memory.give_back()
    return documents.plain(found)


def run_give(request: dict[str, Any], tensor: bytes, limits: Settings, _: Progress) -> Any:
    visitors.require_visible(request["model"], request["weights"], limits)
    with Store(limits).reading(request["key"]) as stored:
        file = classify.open_artifact(stored.path, request["model"], request["weights"])
        found = replies.given(file, _input(tensor, file))
    del file
    memory.give_back()
    return documents.plain(found)


def _wanted(request: dict[str, Any], limits: Settings) -> BuildRequest:
    wanted = documents.structured(request["build"], BuildRequest)
    visitors.require_visible(wanted.model, wanted.weights, limits)
    return wanted


def _original(request: dict[str, Any], limits: Settings) -> Classifier:
    visitors.require_visible(request["model"], request["weights"], limits)
    return _open_models(limits).get(request["model"], request["weights"])


def _input(tensor: bytes, model: Classifier) -> torch.Tensor:
    return classify.tensor_from(Prepared(tensor, 0.0, 0.0), model.spec)


def run_fetch(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """Downloads a visitor's model from the Hub. Another process reads it, so that this one need not trust it."""
    source = documents.structured(request["source"], HubName)
    corrections = documents.structured(request["corrections"], Corrections)
    folder = make_folder(VisitorsFile(request["visitor"], visitors.upload_name(card.SUFFIX)).path(limits).parent)

    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".part") as place:
        found = hub.fetch_repository(source, Path(place), progress, limits, visitors.admission(folder, limits))
        path = found.weights.rename(folder / visitors.upload_name(found.weights.suffix))
    process = reader_process(limits)
    try:
        corrections = corrections.merged_with(from_timm_config(found.config))
        task = take_in_task(VisitorsFile.of(path), source.file_name, corrections)
        return process.submit(task, READ_SECONDS).result()
    finally:
        process.close()
        path.unlink(missing_ok=True)


def run_forget(request: dict[str, Any], _: bytes, limits: Settings, __: Progress) -> Any:
    _open_models(limits).forget(request["owner"])


def tell_abilities(_: dict[str, Any], __: bytes, limits: Settings, ___: Progress) -> Any:
    """What can be built here: the engines, and for each format that is offered None or the reason why not."""
    return {
        "engines": engines.for_building(),
        "formats": {key: FORMATS[key].probe() for key in capacity.offered_formats(limits)},
    }


TASKS: dict[str, TaskRunner] = {
    "build": run_build,
    "profile": run_profile,
    "examine": run_examine,
    "take_turns": run_take_turns,
    "evaluate": run_evaluate,
    "download": run_download,
    "classify": run_classify,
    "attention": run_attention,
    "reply": run_reply,
    "give": run_give,
    "fetch": run_fetch,
    "forget": run_forget,
    "abilities": tell_abilities,
}


def _build(request: BuildRequest, limits: Settings, progress: Progress) -> BuildResult:
    with Store(limits).shelf(request) as shelf:
        return build.build(request, shelf, limits, progress)


@functools.cache
def _open_models(limits: Settings) -> OpenModels:
    return OpenModels(limits, MODELS_IN_MEMORY)


if __name__ == "__main__":
    serve(TASKS, *map(int, sys.argv[1:]))
