"""The figures behind the estimates of inference/capacity.py: the peak memory of a fresh worker, by model and task.

python -m benchmarks.memory
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from benchmarks.figure import memory
from deploy_core import embedded, settings
from deploy_core.build import Build
from deploy_core.files import make_folder
from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.models.own import bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.spec import BYTES_PER_WEIGHT
from deploy_core.pictures.pool import shared
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import Task
from deploy_core.settings import Settings
from deploy_core.storage.visitors import new_name, root
from deploy_core.types import BuildRequest, ModelChoice
from deploy_core.worker.tasks import Classify, ListAbilities

MODELS = ("demo", "deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
PICTURE = embedded.SAMPLES / "chelsea.png"


def main() -> None:
    print("| model | weights, MB | task | peak, MB |\n| --- | --- | --- | --- |")
    for name in MODELS:
        weights = load.find(name).parameters * BYTES_PER_WEIGHT / 1e6
        for task, peak in _peaks(name):
            print(f"| {name} | {weights:.1f} | {task} | {peak:.0f} |", flush=True)


def _peaks(name: str) -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as place:
        limits = dataclasses.replace(settings.load(), home=Path(place) / "home")
        checkpoint = Path(place) / "checkpoint.safetensors"
        save_file(load.load(name, "random", limits).module.state_dict(), checkpoint)
        own = _imported(checkpoint, limits)
        yield "list what can be built", _peak(limits, ListAbilities())
        yield "classify with one model", _peak(limits, _classify(own))
        yield "classify with two models", _peak(limits, _classify(ModelChoice(name, "random")), _classify(own))
        for formats in (*((key,) for key in FORMATS), tuple(FORMATS)):
            title = formats[0] if len(formats) == 1 else "all formats"
            fresh = dataclasses.replace(limits, home=Path(place) / title)
            model = _imported(checkpoint, fresh)
            yield f"build {title}", _peak(fresh, Build(BuildRequest(model.reference, model.weights, formats)))


def _imported(checkpoint: Path, limits: Settings) -> ModelChoice:
    """Imports the checkpoint as a visitor's own model, so that the worker opens no other file."""
    folder = make_folder(root(limits) / new_name())
    return ModelChoice(bring.bring(checkpoint, folder, limits, Corrections()).reference, "pretrained")


def _classify(model: ModelChoice) -> Classify:
    return Classify(model, "", 1, 0.0, 0.0)


def _peak(limits: Settings, *tasks: Task[Any]) -> float:
    worker = WorkerProcess("worker", limits)
    try:
        for task in tasks:
            picture = b""
            if isinstance(task, Classify):
                how = load.find(task.model.reference).preprocessing
                picture = shared(limits).prepare(PICTURE.read_bytes(), how).input
            worker.submit(task, blob=picture).result()
        return memory(worker.process_id or 0, "VmHWM")
    finally:
        worker.close()


if __name__ == "__main__":
    main()
