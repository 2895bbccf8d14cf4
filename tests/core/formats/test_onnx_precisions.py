"""The ONNX files in half precision and for NPUs, of a small model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch

from deploy_core import build
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult

KEYS = ("onnx_float16", "onnx_w8a16")


@pytest.fixture(scope="module")
def built(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult]:
    folder = tmp_path_factory.mktemp("onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy_core.inference.verdicts.MOST_PICTURES", 2)
        return folder, build.build_into(folder, BuildRequest(str(pets), "pretrained", KEYS), Settings())


def test_both_are_built_and_answer(built: tuple[Path, BuildResult]) -> None:
    _, result = built
    assert result.unbuilt == ()
    by_format = {artifact.format: artifact for artifact in result.artifacts}
    cosines = {artifact.format: artifact.proof.cosine for artifact in result.artifacts if artifact.proof}
    assert cosines["onnx_float16"] > 0.9999
    assert cosines["onnx_w8a16"] > 0.97
    assert by_format["onnx_float16"].bytes < 0.6 * by_format["onnx"].bytes
    learned = by_format["onnx_w8a16"].calibration
    assert learned
    assert learned.pictures == 64


@pytest.mark.parametrize("suffix", ["_float16.onnx", "_w8a16.onnx"])
def test_the_graph_is_a_valid_one_with_float32_at_its_ends(built: tuple[Path, BuildResult], suffix: str) -> None:
    folder, _ = built
    (path,) = folder.glob(f"*{suffix}")
    model = onnx.load_model(path)
    onnx.checker.check_model(model, full_check=True)
    for end in (*model.graph.input, *model.graph.output):
        assert end.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_file_for_npus_has_one_byte_weights_and_two_byte_activations(built: tuple[Path, BuildResult]) -> None:
    folder, _ = built
    (path,) = folder.glob("*_w8a16.onnx")
    graph = onnx.load_model(path).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    kinds = Counter(tensor.data_type for tensor in graph.initializer)
    assert kinds[onnx.TensorProto.INT8] > 8
    assert kinds[onnx.TensorProto.UINT16] > kinds[onnx.TensorProto.INT8]
    scales = {node.input[1] for node in graph.node if node.op_type == "DequantizeLinear"}
    assert any(tensor.name in scales and len(tensor.dims) == 1 for tensor in graph.initializer)


def test_half_precision_takes_batches(built: tuple[Path, BuildResult]) -> None:
    from deploy_core.formats import FORMATS

    folder, _ = built
    (path,) = folder.glob("*_float16.onnx")
    run, pictures = FORMATS["onnx_float16"].load(path), torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(run(pictures), torch.cat([run(one[None]) for one in pictures]), atol=1e-2, rtol=1e-2)
