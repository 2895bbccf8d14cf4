"""What inference/capacity.py estimates from: the peak memory of a fresh worker, by model and by what it does.

python -m benchmarks.memory
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safetensors.torch import save_file

from benchmarks.figure import memory
from deploy_core import documents, embedded, settings
from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.models.spec import BYTES_PER_WEIGHT
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest

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
        answers = [
            Task("classify", {"model": name, "weights": weights, "name": "", "top": 1}, PICTURE.read_bytes())
            for weights in ("random", str(checkpoint))
        ]
        yield "tell what can be built", _peak(limits, Task("abilities", {}))
        yield "classify with one model", _peak(limits, answers[1])
        yield "classify with two models", _peak(limits, *answers)
        for formats in (*((key,) for key in FORMATS), tuple(FORMATS)):
            request = documents.plain(BuildRequest(name, str(checkpoint), formats))
            told = formats[0] if len(formats) == 1 else "all formats"
            fresh = dataclasses.replace(limits, home=Path(place) / told)
            yield f"build {told}", _peak(fresh, Task("build", {"build": request}))


def _peak(limits: Settings, *tasks: Task) -> float:
    worker = WorkerProcess("worker", limits)
    try:
        for task in tasks:
            worker.submit(task).result()
        return memory(worker.process_id or 0, "VmHWM")
    finally:
        worker.close()


if __name__ == "__main__":
    main()
