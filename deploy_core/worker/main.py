"""``python -m deploy_core.worker.main FD NICENESS AT_ONCE``: the app's work in processes of its own, a table of tasks.

``task_server.serve`` takes the orders.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import build, documents, memory
from deploy_core.evaluation import evaluate
from deploy_core.evaluation.subjects import open_artifact
from deploy_core.files import make_folder
from deploy_core.formats import FORMATS, engines
from deploy_core.inference import attention, capacity, classify, file_answers
from deploy_core.inference.classify import Classifier
from deploy_core.inference.open_models import OpenModels
from deploy_core.models import hub, load
from deploy_core.models.hub import HubName
from deploy_core.models.own import bring
from deploy_core.models.own.bring import Corrections
from deploy_core.pictures.pool import Prepared
from deploy_core.processes.server import TaskRunner, serve
from deploy_core.profile.measure.alone import ExamineRequest, examine_file
from deploy_core.profile.measure.build_and_measure import ProfileRequest, build_and_measure
from deploy_core.profile.measure.turns import TurnsRequest, time_files
from deploy_core.settings import Settings
from deploy_core.storage import uploads, visitors
from deploy_core.storage.store import Store
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.types import BuildRequest, BuildResult, Progress, part_of
from deploy_core.worker.intake import READ_SECONDS, reader_process, take_in_task

if TYPE_CHECKING:
    import torch

MODELS_IN_MEMORY = 2


def run_build(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    return documents.plain(_build(_wanted(request, limits), limits, progress))


def run_profile(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    return build_and_measure(documents.structured(request, ProfileRequest), limits, progress)


def run_examine(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    return documents.plain(examine_file(documents.structured(request, ExamineRequest), limits, progress))


def run_time_files(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    return documents.plain(time_files(documents.structured(request, TurnsRequest), limits, progress))


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
            open_artifact(shelf.path(FORMATS[artifact.format]), wanted.model, wanted.weights)
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
    return attention.rollout(model.module, _input(tensor, model)).tolist()


def run_file_answer(request: dict[str, Any], tensor: bytes, limits: Settings, _: Progress) -> Any:
    """The file is read for this one answer, so that no visitor's choice of files stays in memory."""
    original = _original(request, limits)
    with Store(limits).reading(request["key"]) as stored:
        file = classify.open_artifact(stored.path, request["model"], request["weights"])
        found = file_answers.compare_with_original(stored.artifact.format, file, original, _input(tensor, original))
    del file
    memory.give_back()
    return documents.plain(found)


def run_device_question(request: dict[str, Any], tensor: bytes, limits: Settings, _: Progress) -> Any:
    visitors.require_visible(request["model"], request["weights"], limits)
    with Store(limits).reading(request["key"]) as stored:
        file = classify.open_artifact(stored.path, request["model"], request["weights"])
        found = file_answers.device_question(file, _input(tensor, file))
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
    told = documents.structured(request["corrections"], Corrections)
    folder = make_folder(VisitorsFile(request["visitor"], visitors.upload_name(bring.SUFFIX)).path(limits).parent)

    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".part") as place:
        found = hub.fetch_repository(source, Path(place), progress, limits, visitors.admission(folder, limits))
        path = found.weights.rename(folder / visitors.upload_name(found.weights.suffix))
    process = reader_process(limits)
    try:
        task = take_in_task(VisitorsFile.of(path), bring.called(source), told.over(bring.noted(found.config)))
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
    "time_files": run_time_files,
    "evaluate": run_evaluate,
    "download": run_download,
    "classify": run_classify,
    "attention": run_attention,
    "file_answer": run_file_answer,
    "device_question": run_device_question,
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
