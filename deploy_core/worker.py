"""``python -m deploy_core.worker FD NICENESS AT_ONCE``: does the tasks that the process which started it asks for.

FD is a socket: tasks come in, events and one result or error for each go out. It ends when the other side does, also
in the middle of a task.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import queue
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from deploy_core import (
    attention,
    build,
    capacity,
    classify,
    documents,
    errors,
    evaluate,
    hub,
    images,
    logs,
    memory,
    models,
    own,
    profile,
    replies,
    settings,
    verify,
    visitors,
)
from deploy_core.errors import DeployError, InvalidArtifact
from deploy_core.files import is_file, make_folder
from deploy_core.formats import FORMATS, engines, in_build_order
from deploy_core.open_models import OpenModels
from deploy_core.own import Corrections
from deploy_core.processes import Task, WorkerProcess, error_message, event_message
from deploy_core.profile import alone, rounds
from deploy_core.profile.host import usable_cpus
from deploy_core.profile.mark import Mark
from deploy_core.profile.rounds import Until
from deploy_core.profile.runs import Runs
from deploy_core.settings import Settings
from deploy_core.store import Store
from deploy_core.types import BuildRequest, BuildResult, Event, Progress, part_of

MODELS_IN_MEMORY = 2

log = logging.getLogger("deploy_core.worker")


def run_build(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    return documents.plain(_build(documents.structured(request["build"], BuildRequest), limits, progress))


def run_profile(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """Builds what is missing first. Building and measuring are for other processes, so that this one stays small."""
    wanted = documents.structured(request["build"], BuildRequest)
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
            options = profile.Options(threads=threads, seconds=request["seconds"], traces=Path(traces))
            run = profile.profile(result, paths, limits, options, part_of(progress, 0.3, 1.0))
            return Runs(limits).keep(run, Path(traces), models.find(wanted.model).owner)


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
    picture = verify.reference(models.find(request["model"]), limits).tensor
    trace = Path(request["trace"]) if request["trace"] else None
    found = alone.examine(
        Path(request["path"]), request["format"], picture, request["batches"], request["threads"], trace
    )
    return documents.plain(found)


def run_take_turns(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """A part of a profile, which wants a fresh process."""
    import torch

    torch.set_num_threads(request["threads"])
    picture = verify.reference(models.find(request["model"]), limits).tensor
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
    wanted = documents.structured(request["build"], BuildRequest)
    path = Path(request["pictures"])
    pictures = evaluate.open_pictures(path, models.find(wanted.model), limits)
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
    spec = models.find(request["model"])
    if spec.hub_id is not None:
        hub.download(spec.hub_id, progress, limits)
    return None


def run_classify(request: dict[str, Any], picture: bytes, limits: Settings, _: Progress) -> Any:
    classifier = _open_models(limits).get(request["model"], request["weights"])
    return documents.plain(classifier.classify_bytes(picture, request["name"], limits, request["top"]))


def run_attention(request: dict[str, Any], picture: bytes, limits: Settings, _: Progress) -> Any:
    model = _open_models(limits).get(request["model"], request["weights"])
    return attention.rollout(model.module, model.tensor_of(picture, limits)).tolist()


def run_reply(request: dict[str, Any], picture: bytes, limits: Settings, _: Progress) -> Any:
    """The file is read for this one answer, so that no visitor's choice of files stays in memory."""
    original = _open_models(limits).get(request["model"], request["weights"])
    with Store(limits).reading(request["key"]) as stored:
        file = classify.open_artifact(stored.path, request["model"], request["weights"])
        found = replies.reply(stored.artifact.format, file, original, original.tensor_of(picture, limits))
    del file
    memory.give_back()
    return documents.plain(found)


def run_give(request: dict[str, Any], picture: bytes, limits: Settings, _: Progress) -> Any:
    """The picture is read in its full size, as a visitor's device reads it."""
    with Store(limits).reading(request["key"]) as stored:
        file = classify.open_artifact(stored.path, request["model"], request["weights"])
        found = replies.given(file, classify.tensor_of(images.decode(picture, limits), file.spec))
    del file
    memory.give_back()
    return documents.plain(found)


def run_take_in(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """``source`` is a checkpoint's path or a name on the Hub, ``name`` what the visitor calls it."""
    folder = Path(request["folder"])

    def admit(file_bytes: int) -> None:
        capacity.require_checkpoint(file_bytes, limits)
        visitors.require_room(folder, file_bytes, limits)

    told = documents.structured(request["corrections"], Corrections)
    name = own.free_name(folder, request["name"])
    spec = own.bring(request["source"], folder, limits, told, progress, name, admit)
    memory.give_back()
    return spec.reference


def run_correct(request: dict[str, Any], _: bytes, limits: Settings, __: Progress) -> Any:
    path = Path(request["model"])
    if is_file(path):
        capacity.require_checkpoint(path.stat().st_size, limits)
    own.correct(path, limits, documents.structured(request["corrections"], Corrections))
    memory.give_back()
    return request["model"]


def run_forget(request: dict[str, Any], _: bytes, limits: Settings, __: Progress) -> Any:
    _open_models(limits).forget(request["owner"])


def tell_abilities(_: dict[str, Any], __: bytes, limits: Settings, ___: Progress) -> Any:
    """What can be built here: the engines, and for each format that is offered None or the reason why not."""
    return {
        "engines": engines.for_building(),
        "formats": {key: FORMATS[key].probe() for key in capacity.offered_formats(limits)},
    }


Orders = queue.SimpleQueue[tuple[dict[str, Any], bytes]]
TaskRunner = Callable[[dict[str, Any], bytes, Settings, Progress], Any]
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
    "take_in": run_take_in,
    "correct": run_correct,
    "forget": run_forget,
    "abilities": tell_abilities,
}


def main(connection: Connection, at_once: int = 1) -> None:
    """Does what comes in, ``at_once`` tasks at a time, until the other side closes the socket."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logs.keep_discreet()
    arrived: Orders = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, arrived), daemon=True).start()
    answering = threading.Lock()
    for _ in range(at_once - 1):
        threading.Thread(target=_work, args=(connection, answering, arrived, at_once), daemon=True).start()
    _work(connection, answering, arrived, at_once)


def _work(connection: Connection, answering: threading.Lock, arrived: Orders, at_once: int) -> None:
    limits = settings.load()
    if at_once > 1:
        _share_cores(at_once)
    while True:
        order, blob = arrived.get()

        def answer(message: dict[str, Any], task: int = order["task"]) -> None:
            with answering:
                _answer(connection, {"task": task} | message)

        answer(perform(order, blob, limits, lambda event: answer(event_message(event))))


def _share_cores(at_once: int) -> None:
    """Torch's number of threads is one for each thread that asks."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // at_once))


def perform(order: dict[str, Any], blob: bytes, limits: Settings, progress: Progress) -> dict[str, Any]:
    """One task; returns the message that ends it."""
    try:
        return {"result": TASKS[order["kind"]](order["request"], blob, limits, progress)}
    except DeployError as error:
        return error_message(error)
    except Exception:
        log.exception("The task '%s' failed", order["kind"])
        return error_message(errors.UNEXPECTED)


def _build(request: BuildRequest, limits: Settings, progress: Progress) -> BuildResult:
    with Store(limits).shelf(request) as shelf:
        return build.build(request, shelf, limits, progress)


@functools.cache
def _open_models(limits: Settings) -> OpenModels:
    return OpenModels(limits, MODELS_IN_MEMORY)


def connect(descriptor: int) -> Connection:
    """The socket that this process was started with; its own children do not get it."""
    os.set_inheritable(descriptor, False)
    return Connection(descriptor)


def _receive(connection: Connection, arrived: Orders) -> None:
    try:
        while True:
            arrived.put((json.loads(connection.recv_bytes()), connection.recv_bytes()))
    except (EOFError, OSError):
        os._exit(0)


def _answer(connection: Connection, message: dict[str, Any]) -> None:
    try:
        connection.send_bytes(json.dumps(message).encode())
    except OSError:
        os._exit(0)


if __name__ == "__main__":
    os.nice(int(sys.argv[2]))
    main(connect(int(sys.argv[1])), int(sys.argv[3]))
