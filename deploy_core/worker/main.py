"""``python -m deploy_core.worker.main FD NICENESS AT_ONCE``: a process that does the app's tasks, and their table.

The worker, the inference process and the measuring processes all run this module. ``processes.server`` receives the
requests.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core import build, memory
from deploy_core.build import Build
from deploy_core.evaluation import evaluate
from deploy_core.evaluation.subjects import open_artifact
from deploy_core.files import make_folder
from deploy_core.formats import FORMATS, engines
from deploy_core.inference import attention, beside, capacity, classify, file_answers
from deploy_core.inference.beside import Check, PrepareChecks
from deploy_core.inference.classify import Classifier
from deploy_core.inference.file_answers import DeviceQuestion, FileAnswer
from deploy_core.inference.open_models import OpenModels
from deploy_core.models import hub, load
from deploy_core.models.families import FAMILIES
from deploy_core.models.own import bring
from deploy_core.pictures.pool import Prepared
from deploy_core.processes.server import serve
from deploy_core.processes.task import Work, does, table
from deploy_core.profile.measure.alone import Examination, Examine, Prepare, examine_file, prepare
from deploy_core.profile.measure.build_and_measure import Profile, build_and_measure
from deploy_core.profile.measure.rounds import Rounds
from deploy_core.profile.measure.turns import TimeFiles, time_files
from deploy_core.settings import Settings
from deploy_core.storage import uploads, visitors
from deploy_core.storage.evaluations import Evaluations
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.types import BuildResult, ModelChoice, Prediction, part_of
from deploy_core.worker.intake import READ_SECONDS, reader_process
from deploy_core.worker.tasks import (
    Abilities,
    AskFile,
    Classify,
    CompareFile,
    Download,
    Evaluate,
    Fetch,
    Forget,
    ListAbilities,
    Look,
    Seen,
    TakeIn,
)

if TYPE_CHECKING:
    import torch

MODELS_IN_MEMORY = 2


def run_build(request: Build, work: Work) -> BuildResult:
    wanted = request.build
    visitors.require_visible(wanted.choice, work.settings)
    with open_shelf(Store(work.settings), wanted) as shelf:
        return build.build(wanted, shelf, work.settings, work.progress)


def run_profile(request: Profile, work: Work) -> str:
    return build_and_measure(request, work.settings, work.progress)


def run_prepare(_: Prepare, __: Work) -> None:
    prepare()


def run_examine(request: Examine, work: Work) -> Examination:
    return examine_file(request, work.settings)


def run_time_files(request: TimeFiles, work: Work) -> Rounds:
    return time_files(request, work.settings, work.progress)


def run_evaluate(request: Evaluate, work: Work) -> None:
    limits, wanted, path = work.settings, request.build, Path(request.pictures)
    visitors.require_visible(wanted.choice, limits)
    uploads.require_given(path, limits)
    pictures = evaluate.open_pictures(path, load.find(wanted.model), limits, request.skip_unknown)
    with open_shelf(Store(limits), wanted) as shelf:
        result = build.build(wanted, shelf, limits, part_of(work.progress, 0.0, 0.2))
        subjects = [
            open_artifact(shelf.path(FORMATS[artifact.format]), wanted.model, wanted.weights)
            for artifact in result.artifacts
            if FORMATS[artifact.format].runs_here
        ]
        evaluation = evaluate.evaluate(subjects, pictures, limits, part_of(work.progress, 0.2, 1.0))
    Evaluations(limits).keep(wanted, path, replace(evaluation, data=request.name))


def run_download(request: Download, work: Work) -> None:
    spec = load.find(request.model)
    if spec.hub_id is not None:
        hub.download(spec.hub_id, work.progress, work.settings)


def run_classify(request: Classify, work: Work) -> Prediction:
    picture = Prepared(work.blob, request.read, request.preprocess)
    return _original(request.model, work.settings).classify_prepared(picture, request.name, request.top)


def run_look(request: Look, work: Work) -> Seen:
    model = _original(request.question.model, work.settings)
    if not FAMILIES[model.spec.family].shows_attention:
        return Seen(run_classify(request.question, work), None)
    with attention.followed(model.module, model.spec.family) as shares:
        return Seen(run_classify(request.question, work), shares().tolist())


def run_file_answer(request: CompareFile, work: Work) -> FileAnswer:
    """Reads the file for this one answer, so that no visitor's choice of files stays in memory."""
    original = _original(request.model, work.settings)
    with Store(work.settings).reading(request.key) as stored:
        file = classify.open_artifact(stored.path, request.model.reference, request.model.weights)
        answer = file_answers.compare_with_original(stored.artifact.format, file, original, _input(work.blob, original))
    del file
    memory.give_back()
    return answer


def run_device_question(request: AskFile, work: Work) -> DeviceQuestion:
    visitors.require_visible(request.model, work.settings)
    with Store(work.settings).reading(request.key) as stored:
        file = classify.open_artifact(stored.path, request.model.reference, request.model.weights)
        answer = file_answers.device_question(file, _input(work.blob, file))
    del file
    memory.give_back()
    return answer


def run_fetch(request: Fetch, work: Work) -> str:
    """Another process reads the downloaded file, because nobody has checked it."""
    limits, source = work.settings, request.source
    folder = make_folder(VisitorsFile(request.visitor, visitors.upload_name()).path(limits).parent)

    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".part") as place:
        found = bring.fetch(source, Path(place), work.progress, limits, visitors.admission(folder, limits))
        path = found.weights.rename(folder / visitors.upload_name())
    process = reader_process(limits)
    try:
        task = TakeIn(VisitorsFile.of(path), source.file_name, request.corrections, dict(found.documents))
        return process.submit(task, READ_SECONDS).result().reference
    finally:
        process.close()
        path.unlink(missing_ok=True)


def run_forget(request: Forget, work: Work) -> None:
    _open_models(work.settings).forget(request.owner)


def run_abilities(_: ListAbilities, work: Work) -> Abilities:
    return Abilities(
        engines=tuple(engines.for_building()),
        formats={key: FORMATS[key].probe() for key in capacity.offered_formats(work.settings)},
    )


TASKS = table(
    does(Build, run_build),
    does(PrepareChecks, beside.run_prepare_checks),
    does(Check, beside.run_check),
    does(Profile, run_profile),
    does(Prepare, run_prepare),
    does(Examine, run_examine),
    does(TimeFiles, run_time_files),
    does(Evaluate, run_evaluate),
    does(Download, run_download),
    does(Classify, run_classify),
    does(Look, run_look),
    does(CompareFile, run_file_answer),
    does(AskFile, run_device_question),
    does(Fetch, run_fetch),
    does(Forget, run_forget),
    does(ListAbilities, run_abilities),
)


def _original(model: ModelChoice, limits: Settings) -> Classifier:
    visitors.require_visible(model, limits)
    return _open_models(limits).get(model)


def _input(tensor: bytes, model: Classifier) -> torch.Tensor:
    return classify.tensor_from(Prepared(tensor, 0.0, 0.0), model.spec)


@functools.cache
def _open_models(limits: Settings) -> OpenModels:
    return OpenModels(limits, MODELS_IN_MEMORY)


if __name__ == "__main__":
    serve(TASKS, *map(int, sys.argv[1:]))
