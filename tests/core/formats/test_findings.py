"""What the built files are found to need, and that a need which a runtime does not meet is told."""

from __future__ import annotations

import contextlib
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS, Workbench
from deploy_core.formats.executorch.conversion import name_flatc
from deploy_core.formats.executorch.inspection import inspect as inspect_executorch
from deploy_core.formats.executorch.inspection import known_operators
from deploy_core.formats.onnx.inspection import has_webgpu_kernel, kernels_of
from deploy_core.formats.onnx.inspection import inspect as inspect_onnx
from deploy_core.formats.torchscript.inspection import inspect_lite, inspect_script
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.types import Finding
from tests import own_model
from tests.whole_build import WholeBuild

KEYS = ("scripted", "quantized", "optimized", "lite")
BUILDS = (("qnnpack", "default"), ("qnnpack", "tutorial"), ("x86", "default"))
INSPECTORS = {
    ".pt": inspect_script,
    ".ptl": inspect_lite,
    ".pte": inspect_executorch,
    ".onnx": inspect_onnx,
}


def failures(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.text for finding in findings if not finding.holds]


def texts(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.text for finding in findings]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inspected")


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[tuple[str, str, str], Path]:
    """The four TorchScript files of a small model with two heads, by engine, way and key."""
    save_file(own_model.state(replace(own_model.SHAPE, family="distilled")), folder / "pets.safetensors")
    file = own_model.model_file(folder / "pets.safetensors", "pets", folder / "models", Settings())
    model = load.load(str(file), "pretrained", Settings())
    paths = {}
    for engine, way in BUILDS:
        bench = Workbench(model, engine, way)
        for key in KEYS:
            row = FORMATS[key]
            path = folder / f"{engine}_{way}_{row.filename('pets')}"
            bench.results[key] = row.convert(bench)
            row.save(bench, bench.results[key], path)
            paths[engine, way, key] = path
    return paths


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    """A program of one delegated layer and one operator outside the delegate."""

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(self.layer(numbers), 1)

    name_flatc()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        exported = torch.export.export(Small().eval(), (torch.ones(1, 4),))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    path = folder / "small.pte"
    path.write_bytes(lowered.buffer)
    return path


def lite_file(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module)._save_for_lite_interpreter(str(path))
    return path


def onnx_file(path: Path, nodes: list[onnx.NodeProto], ir: int = 10, opset: int = 18) -> Path:
    numbers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", [numbers[0]], [numbers[1]])
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains)
    model.ir_version = ir
    onnx.save_model(model, path)
    return path


def test_no_torchscript_file_of_the_embedded_model_lacks_anything(whole_build: WholeBuild) -> None:
    found = {artifact.format: failures(artifact.findings) for artifact in whole_build.result.artifacts}
    assert [found[key] for key in KEYS] == [[]] * len(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_default_files_run_in_2_1_0_and_today(key: str, built: dict[tuple[str, str, str], Path]) -> None:
    path = built["qnnpack", "default", key]
    findings = INSPECTORS[path.suffix](path)
    assert failures(findings) == []
    assert any("PyTorch 2.1.0 has all operators that the file uses (2" in text for text in texts(findings))


def test_versions_are_told_with_what_is_read(built: dict[tuple[str, str, str], Path]) -> None:
    lite = inspect_lite(built["qnnpack", "default", "lite"])
    assert lite[0].text == "Bytecode version 8: read by the lite interpreter of PyTorch 2.1.0 (4 to 9)."
    script = inspect_script(built["qnnpack", "default", "scripted"])
    assert script[0].text == "Archive version 10: read by PyTorch 2.1.0 (1 to 10)."


@pytest.mark.parametrize("key", ["optimized", "lite"])
def test_the_tutorials_way_needs_xnnpack(key: str, built: dict[tuple[str, str, str], Path]) -> None:
    path = built["qnnpack", "tutorial", key]
    (failure,) = failures(INSPECTORS[path.suffix](path))
    assert failure.startswith("prepacked::conv2d_clamp_run needs XNNPACK")


def test_a_lite_file_built_under_x86_holds_its_weights_twice(built: dict[tuple[str, str, str], Path]) -> None:
    (failure,) = failures(inspect_lite(built["x86", "default", "lite"]))
    assert failure == "A second copy of the weights takes 38% of the file: build under qnnpack, not x86."


def test_the_other_files_do_not_tell_their_engine(built: dict[tuple[str, str, str], Path]) -> None:
    for key in ("quantized", "optimized"):
        assert failures(inspect_script(built["x86", "default", key])) == []


def test_an_operator_that_2_1_0_does_not_have(tmp_path: Path) -> None:
    class Newer(torch.nn.Module):
        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return torch.rms_norm(numbers, [4]) + 1

    path = lite_file(Newer(), tmp_path / "newer.ptl")
    (failure,) = failures(inspect_lite(path))
    assert failure == "PyTorch 2.1.0 lacks 1 of the 2 operators that the file uses: aten::rms_norm."


def test_an_argument_that_2_1_0_does_not_have(tmp_path: Path) -> None:
    class Grouped(torch.nn.Module):
        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.scaled_dot_product_attention(numbers, numbers, numbers, enable_gqa=True)

    path = lite_file(Grouped(), tmp_path / "grouped.ptl")
    (failure,) = failures(inspect_lite(path))
    assert failure.endswith(": aten::scaled_dot_product_attention with 8 arguments.")


def test_a_version_that_is_too_new(built: dict[tuple[str, str, str], Path], tmp_path: Path) -> None:
    newer = tmp_path / "newer.ptl"
    with zipfile.ZipFile(built["qnnpack", "default", "lite"]) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("/bytecode.pkl"):
                content = content.replace(b"K\x08", b"K\x0c", 1)
            new.writestr(name, content)
    (failure,) = failures(inspect_lite(newer))
    assert failure == "Bytecode version 12: not read by the lite interpreter of PyTorch 2.1.0 (4 to 9)."


def test_a_program_leaves_to_the_runtime_what_it_has(program: Path) -> None:
    assert texts(inspect_executorch(program)) == [
        "The prebuilt ExecuTorch 1.3.1 has all operators outside its delegates that the file uses (aten::cumsum.out).",
        "The prebuilt ExecuTorch 1.3.1 has all delegates that the file uses (XnnpackBackend).",
    ]


def test_a_kernel_and_a_delegate_that_the_prebuilt_runtime_lacks(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pte"
    path.write_bytes(program.read_bytes().replace(b"aten::cumsum", b"mine::cumsum").replace(b"XnnpackB", b"StrangeB"))
    kernels, delegates = failures(inspect_executorch(path))
    assert kernels.endswith("lacks 1 of the 1 operators outside its delegates that the file uses: mine::cumsum.out.")
    assert delegates.endswith("delegates that the file uses: StrangeBackend.")


def test_the_list_of_kernels_is_the_installed_runtimes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from executorch.extension.pybindings.portable_lib import _get_operator_names
    assert set(_get_operator_names()) <= set(known_operators())


def test_an_onnx_file_for_phones_and_browsers(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "relu.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    assert texts(inspect_onnx(path)) == [
        "IR version 10: read by onnxruntime 1.24.2 (1 to 13).",
        "Opset 18: read by onnxruntime 1.24.2 (7 to 25).",
        "onnxruntime 1.24.2 has all operator types that the file uses (Relu).",
        "WebGPU in onnxruntime-web 1.30.0 has all operator types that the file uses (Relu).",
    ]


def test_an_onnx_file_that_is_too_new(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "new.onnx", [helper.make_node("Relu", ["x"], ["y"])], ir=14, opset=26)
    assert failures(inspect_onnx(path)) == [
        "IR version 14: not read by onnxruntime 1.24.2 (1 to 13).",
        "Opset 26: not read by onnxruntime 1.24.2 (7 to 25).",
    ]


def test_operators_inside_a_branch_are_seen(tmp_path: Path) -> None:
    def branch(kind: str) -> onnx.GraphProto:
        result = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
        return helper.make_graph([helper.make_node(kind, ["x"], ["z"], domain="com.mine")], kind, [], [result])

    nodes = [
        helper.make_node("Greater", ["x", "x"], ["b"]),
        helper.make_node("If", ["b"], ["y"], then_branch=branch("Fast"), else_branch=branch("Slow")),
    ]
    package, _ = failures(inspect_onnx(onnx_file(tmp_path / "branches.onnx", nodes)))
    assert package.endswith("lacks 2 of the 4 operator types that the file uses: com.mine.Fast, com.mine.Slow.")


def test_what_webgpu_leaves_to_the_cpu(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    (failure,) = failures(inspect_onnx(onnx_file(tmp_path / "int8.onnx", nodes)))
    assert failure == (
        "WebGPU in onnxruntime-web 1.30.0 lacks 1 of the 2 operator types that the file uses: "
        "DynamicQuantizeLinear; the CPU runs these."
    )


@pytest.mark.parametrize(
    ("opset", "holds"), [(6, False), (13, True), (18, True), (19, True), (21, True), (23, False), (25, False)]
)
def test_an_open_end_is_one_version(opset: int, holds: bool) -> None:
    kernels = {"Cast": kernels_of("ai.onnx(9-12,13-18,19-20,21+); com.microsoft(1+)")}
    assert has_webgpu_kernel("Cast", {"": opset}, kernels) is holds


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "truncated"])
@pytest.mark.parametrize("suffix", INSPECTORS)
def test_a_damaged_file_is_told(
    suffix: str, damage: str, built: dict[tuple[str, str, str], Path], program: Path, tmp_path: Path
) -> None:
    whole = {
        ".pt": built["qnnpack", "default", "quantized"],
        ".ptl": built["qnnpack", "default", "lite"],
        ".pte": program,
        ".onnx": onnx_file(tmp_path / "whole.onnx", [helper.make_node("Relu", ["x"], ["y"])]),
    }[suffix].read_bytes()
    path = tmp_path / f"damaged{suffix}"
    contents = {"empty": b"", "garbage": b"\x80garbage" * 1000, "truncated": whole[: len(whole) // 2]}
    if damage in contents:
        path.write_bytes(contents[damage])
    with pytest.raises(InvalidArtifact, match="is damaged or no"):
        INSPECTORS[suffix](path)


def vector_of_one_table(entries: int, name: int = 4) -> bytes:
    """A program whose list of plans names one and the same plan ``entries`` times, as a hostile file might."""
    from flatbuffers import Builder

    builder = Builder(0)
    text = builder.CreateString("x" * name)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, text, 0)
    delegate = builder.EndObject()

    def vector(table: int, length: int) -> int:
        builder.StartVector(4, length, 4)
        for _ in range(length):
            builder.PrependUOffsetTRelative(table)
        return int(builder.EndVector())

    delegates = vector(delegate, 1)
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(7, delegates, 0)
    plan = builder.EndObject()
    plans = vector(plan, entries)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, plans, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"ET12")
    return bytes(builder.Output())


def test_a_program_that_repeats_its_tables_or_has_endless_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pte"
    path.write_bytes(vector_of_one_table(2))
    assert texts(inspect_executorch(path))[1].endswith("delegates that the file uses: xxxx.")
    for content in (vector_of_one_table(100_000), vector_of_one_table(1, name=1_000_000)):
        path.write_bytes(content)
        with pytest.raises(InvalidArtifact, match="is damaged or no"):
            inspect_executorch(path)


def test_a_program_with_any_byte_changed_gives_findings_or_a_sentence(program: Path, tmp_path: Path) -> None:
    whole = program.read_bytes()
    path = tmp_path / "changed.pte"
    for place in range(min(len(whole), 2000)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(InvalidArtifact):
            inspect_executorch(path)
