"""Our files for servers beside what people use instead, in one interleaved run for each model.

    python -m benchmarks.peers [--models deit_tiny_patch16_224 ...] [--seconds 120]

Each line is the median of the ratio to eager PyTorch in float32, with its 95 % interval. The weights are random: speed
is compared, not answers (``python -m deploy_core.training.measure`` compares those). A peer that is not installed is
skipped, and named.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from deploy_core import settings
from deploy_core.formats import FORMATS
from deploy_core.formats.exporting import quiet
from deploy_core.formats.onnx import running
from deploy_core.inference import calibration, views
from deploy_core.models import load
from deploy_core.profile import intervals
from deploy_core.profile.intervals import Estimate
from deploy_core.profile.measure import host, rounds
from deploy_core.profile.measure.rounds import Until

MODELS = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
EAGER = "PyTorch, eager, float32"
BOUND = 0.02
# How much of the fastest peer's time our fastest file may take, unless it is that peer's own kind of file.
MOST = 0.9
OURS = tuple(key for key, row in FORMATS.items() if row.runs_here and (row.is_int8 or key in ("openvino", "litert")))

Run = Callable[[Any], object]


@dataclass(frozen=True)
class Peer:
    """What a person would run instead of our files.

    The table tells the version of ``package``. ``needs`` are other packages or commands without which it is skipped.
    ``make`` takes the module, an input and an empty folder, and gives the function that answers an input.
    """

    name: str
    package: str
    make: Callable[[Any, Any, Path], Run]
    needs: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.name} ({self.package} {metadata.version(self.package)})"

    def lacks(self) -> str | None:
        """Why it cannot run here; None if it can."""
        for name in (self.package, *self.needs):
            if not (_is_installed(name) or shutil.which(name)):
                return name
        return None


def eager(module: Any, _: Any, __: Path) -> Run:
    return module  # type: ignore[no-any-return]


def autocast(module: Any, _: Any, __: Path) -> Run:
    import torch

    def run(pictures: Any) -> object:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module(pictures)

    return run


def compiled(module: Any, pictures: Any, _: Path) -> Run:
    import torch

    run: Run = torch.compile(module)
    run(pictures)
    return run


def onnx_file(module: Any, pictures: Any, folder: Path) -> Path:
    import torch

    path = folder / "model.onnx"
    with quiet():
        program = torch.onnx.export(
            module, (pictures,), dynamo=True, verbose=False, input_names=[running.INPUT], output_names=[running.OUTPUT]
        )
    assert program is not None  # noqa: S101
    program.save(path)
    return path


def onnxruntime(module: Any, pictures: Any, folder: Path) -> Run:
    return running.load(onnx_file(module, pictures, folder))


def onnxruntime_int8(module: Any, pictures: Any, folder: Path) -> Run:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "int8.onnx"
    with quiet():
        quantize_dynamic(onnx_file(module, pictures, folder), path, weight_type=QuantType.QInt8, per_channel=True)
    return running.load(path)


def openvino_graph(module: Any, pictures: Any) -> Any:
    import openvino

    with quiet():
        return openvino.convert_model(module, example_input=pictures)


def openvino_run(graph: Any) -> Run:
    import openvino
    import torch

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()
    return lambda pictures: request.infer([pictures.numpy()])


def openvino(module: Any, pictures: Any, _: Path) -> Run:
    return openvino_run(openvino_graph(module, pictures))


def openvino_int8(module: Any, pictures: Any, _: Path) -> Run:
    """NNCF's own preset for transformers, without our changes for accuracy."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    # Every DeiT prepares pictures like the included one.
    given = calibration.shipped(load.find("demo"), settings.load())
    shown = [picture[None].numpy() for picture in given.inputs]
    with quiet():
        graph = nncf.quantize(
            openvino_graph(module, pictures),
            nncf.Dataset(shown),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(shown),
        )
    return openvino_run(graph)


PEERS = (
    Peer(EAGER, "torch", eager),
    Peer("PyTorch, eager, bfloat16 autocast", "torch", autocast),
    Peer("PyTorch, torch.compile, float32", "torch", compiled, ("g++",)),
    Peer("ONNX Runtime, float32", "onnxruntime", onnxruntime),
    Peer("ONNX Runtime, int8, dynamic", "onnxruntime", onnxruntime_int8),
    Peer("OpenVINO, float32 graph", "openvino", openvino),
    Peer("OpenVINO, int8, NNCF's preset", "openvino", openvino_int8, ("nncf",)),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=MODELS, help="names of the catalogue")
    parser.add_argument("--seconds", type=float, default=120.0, help="longest time to measure each model")
    options = parser.parse_args()
    print(f"On {host.describe().cpu}")
    for peer in PEERS:
        if lacking := peer.lacks():
            print(f"Skipped, because {lacking} is not here: {peer.name}")
    found = [figure for name in options.models for figure in figures(name, options.seconds)]
    return 0 if all(figure.holds for figure in found) else 1


def figures(model: str, seconds: float) -> Iterator[Figure]:
    """Builds and times everything for one model, and prints its table."""
    with tempfile.TemporaryDirectory() as place:
        known = measured(model, Path(place), seconds)
    print(f"\n| {model} | ms | of eager | 95 % interval |\n| --- | --- | --- | --- |")
    for name, one in sorted(known.items(), key=lambda item: item[1].ratio):
        low, high = one.ratio_interval or (one.ratio, one.ratio)
        print(f"| {name} | {one.median:.1f} | {one.ratio:.3f} | {low:.3f} to {high:.3f} |")
    ours = {name: one.ratio for name, one in known.items() if name.startswith("ours: ")}
    peers = {name: one.ratio for name, one in known.items() if name not in ours}
    best, rival = min(ours, key=ours.__getitem__), min(peers, key=peers.__getitem__)
    is_theirs = rival.split(",")[0] in best
    print(f"Fastest of ours: {best}; fastest of the others: {rival}")
    figure = Figure(f"{best} against {rival}, {model}", ours[best] / peers[rival], 1.0 if is_theirs else MOST, "x")
    print(figure.line(), flush=True)
    yield figure


def measured(model: str, folder: Path, seconds: float) -> dict[str, Estimate]:
    """The times of all contenders, by name; the first is eager PyTorch."""
    import torch

    spec, limits = load.find(model), settings.load()
    pictures = views.first_input(spec, limits)
    module = load.load(model, "random", limits).module
    contenders: dict[str, Callable[[], object]] = {}
    for peer in PEERS:
        if peer.lacks() is None:
            place = folder / str(len(contenders))
            place.mkdir()
            with torch.inference_mode():
                contenders[peer.title if peer.name != EAGER else EAGER] = partial(
                    peer.make(module, pictures, place), pictures
                )
    for key, path in built(model, folder / "ours").items():
        contenders[f"ours: {FORMATS[key].title}"] = partial(FORMATS[key].load(path), pictures)
    with torch.inference_mode():
        samples = rounds.time_in_rounds(contenders, Until(BOUND, seconds)).samples
    return intervals.estimates(samples)


def built(model: str, folder: Path) -> dict[str, Path]:
    """Our int8 files, and those of the float graphs of other runtimes, by format."""
    keys = [key for key in OURS if FORMATS[key].probe() is None]
    asked = ["build", "--model", model, "--weights", "random", "--formats", ",".join(keys), "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "deploy_core", *asked], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    name = load.find(model).name
    return {key: folder / FORMATS[key].filename(name) for key in keys}


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
