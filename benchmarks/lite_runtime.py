"""Runs the built files in another torch, mainly the last one for phones, and lists the operators of a runtime.

The other torch lives in an environment of its own, outside this project:

    python3.11 -m venv OTHER
    OTHER/bin/pip install "torch==2.1.0" "numpy<2"

The project's environment builds the files and records their answers. The other environment compares.
Both run the int8 files under the qnnpack engine, as phones do:

    .venv/bin/python -m benchmarks.lite_runtime build FOLDER
    .venv/bin/python -m benchmarks.lite_runtime build FOLDER --model deit_base_patch16_224 --weights random
    OTHER/bin/python benchmarks/lite_runtime.py run FOLDER

These commands print the lists of operators in deploy_core/formats/:

    OTHER/bin/python benchmarks/lite_runtime.py operators torch
    .venv/bin/python -m benchmarks.lite_runtime operators executorch
    .venv/bin/python -m benchmarks.lite_runtime operators litert
    .venv/bin/python -m benchmarks.lite_runtime operators webgpu package/docs/webgpu-operators.md

`npm pack onnxruntime-web@1.30.0` downloads the archive with that table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

KEYS = ("scripted", "quantized", "optimized", "lite")
ENGINES = ("qnnpack", "x86")
WAYS = ("default", "tutorial")
PICTURE = "chelsea.png"
# LiteRT's schema counts the versions of an operator from 1; the latest of any operator is 14.
LATEST_VERSION = 30
PHONE_NAMESPACES = ("aten", "prim", "quantized", "_quantized", "prepacked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    building = commands.add_parser("build")
    building.add_argument("folder", type=Path)
    building.add_argument("--model", default="demo")
    building.add_argument("--weights", default="pretrained")
    building.set_defaults(run=lambda options: build(options.folder, options.model, options.weights))
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.set_defaults(run=lambda options: run(options.folder))
    listing = commands.add_parser("operators")
    kinds = listing.add_subparsers(required=True)
    kinds.add_parser("torch").set_defaults(run=lambda _: print(*torch_operators(), sep="\n"))
    kinds.add_parser("executorch").set_defaults(run=lambda _: print(*executorch_operators(), sep="\n"))
    kinds.add_parser("litert").set_defaults(run=lambda _: print(*litert_operators(), sep="\n"))
    webgpu = kinds.add_parser("webgpu")
    webgpu.add_argument("table", type=Path)
    webgpu.set_defaults(run=lambda options: print(*webgpu_operators(options.table), sep="\n"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    options.run(options)


def build(folder: Path, name: str, weights: str) -> None:
    """Writes every file of one model, the picture that it is asked about, and its answers in this torch."""
    from deploy_core import embedded
    from deploy_core.formats import FORMATS, Workbench
    from deploy_core.models.load import load
    from deploy_core.pictures import decode, preprocess
    from deploy_core.settings import Settings

    model = load(name, weights, Settings())
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    picture = decode.decode((embedded.SAMPLES / PICTURE).read_bytes(), Settings())
    np.save(place / "picture.npy", preprocess.preprocess(picture, model.spec.preprocessing))
    answers = {}
    for engine, way in itertools.product(ENGINES, WAYS):
        bench = Workbench(model, engine, way)
        chosen = {"engine": engine, "optimize": way}
        for key in KEYS:
            row = FORMATS[key]
            path = place / ("_".join([key, *(chosen[option] for option in row.options)]) + row.extension)
            bench.results[key] = row.convert(bench)
            if path.name not in answers:
                row.save(bench, bench.results[key], path)
                answers[path.name] = answer(path, place / "picture.npy").tolist()
    (place / "answers.json").write_text(json.dumps(answers))


def run(folder: Path) -> None:
    """Runs every file in this environment's torch, and prints how close the answers are."""
    import torch

    print(
        f"torch {torch.__version__}\n\n| file | cosine | largest difference | same top-1 |\n| --- | --- | --- | --- |"
    )
    for place in sorted(path.parent for path in folder.glob("*/answers.json")):
        for name, before in json.loads((place / "answers.json").read_text()).items():
            print(f"| {place.name}/{name} | {comparison(place / name, place / 'picture.npy', np.array(before))} |")


def comparison(path: Path, picture: Path, before: np.ndarray[Any, Any]) -> str:
    try:
        now = answer(path, picture)
    except RuntimeError as error:
        return f"fails: {reason(str(error))} | | no"
    cosine = float(before @ now / np.linalg.norm(before) / np.linalg.norm(now))
    same = "yes" if before.argmax() == now.argmax() else "no"
    return f"{cosine:.6f} | {np.abs(before - now).max():.5f} | {same}"


def reason(message: str) -> str:
    """The first line of an error message that is not empty."""
    lines = [line.strip() for line in message.splitlines() if line.strip(" :")]
    return lines[0].replace("|", "/")[:120]


def answer(path: Path, picture: Path) -> np.ndarray[Any, Any]:
    """The logits for one picture, float64 (classes,), under the quantized engine of phones."""
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    torch.backends.quantized.engine = "qnnpack"
    load: Any = _load_for_lite_interpreter if path.suffix == ".ptl" else torch.jit.load
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = load(str(path))(torch.from_numpy(np.load(picture)))[0].double().numpy()
    return logits


def torch_operators() -> Iterator[str]:
    import torch

    release = torch.__version__.split("+")[0]
    yield f"# What files for phones may call of torch {release}: the operator, and the most arguments that it takes."
    schemas: list[Any] = torch._C._jit_get_all_schemas()
    most: dict[str, int] = {}
    for schema in schemas:
        if schema.name.split("::")[0] in PHONE_NAMESPACES:
            name = f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name
            most[name] = max(most.get(name, 0), len(schema.arguments))
    yield from (f"{name} {count}" for name, count in sorted(most.items()))


def executorch_operators() -> Iterator[str]:
    bindings = import_module("executorch.extension.pybindings.portable_lib")
    import_module("executorch.kernels.quantized")
    yield f"# The portable, optimized and quantized kernels of the package executorch {version('executorch')}."
    yield from sorted(bindings._get_operator_names())


def litert_operators() -> Iterator[str]:
    schema: Any = import_module("ai_edge_litert.schema_py_generated")
    yield f"# What ai-edge-litert {version('ai-edge-litert')} registers: the builtin operator, and its versions."
    codes = {name: code for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    for name, code in sorted(codes.items()):
        versions = [str(number) for number in range(1, LATEST_VERSION + 1) if _is_registered(schema, code, number)]
        if versions:
            yield f"{name} {' '.join(versions)}"


def _is_registered(schema: Any, code: int, number: int) -> bool:
    """Whether LiteRT opens a model without operators that names this one in its table."""
    builder: Any = import_module("flatbuffers").Builder()
    interpreter: Any = import_module("ai_edge_litert.interpreter").Interpreter
    operator = schema.OperatorCodeT()
    operator.builtinCode, operator.deprecatedBuiltinCode, operator.version = code, min(code, 127), number
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors = graph.inputs = graph.outputs = graph.operators = []
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [operator], [graph], [schema.BufferT()]
    builder.Finish(model.Pack(builder), b"TFL3")
    try:
        interpreter(model_content=bytes(builder.Output()))
    except ValueError:
        return False
    return True


def webgpu_operators(table: Path) -> Iterator[str]:
    package = json.loads((table.parents[1] / "package.json").read_text())
    yield f"# What docs/{table.name} of {package['name']} {package['version']} lists: the operator, and its versions."
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \|", table.read_text(), flags=re.MULTILINE)
    yield from (f"{name} {versions}" for name, versions in rows if name != "Operator")


if __name__ == "__main__":
    main()
