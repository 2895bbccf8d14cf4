"""What is particular to the ExecuTorch and ONNX files; what every format promises is in test_formats.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import onnx
import pytest
import torch

from deploy_core import embedded
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import FORMATS, Run
from deploy_core.formats.exporting import with_plain_attention
from deploy_core.formats.format import missing
from deploy_core.formats.onnx.running import session_options
from deploy_core.inference import verdicts
from deploy_core.inference.classify import tensor_of
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.pictures import decode
from deploy_core.settings import Settings
from tests.whole_build import WholeBuild

EXECUTORCH = ("executorch", "executorch_int8")
ONNX = ("onnx", "onnx_int8")
KEYS = EXECUTORCH + ONNX
PHOTOGRAPHS = ("zebra.jpg", "chelsea.png", "pizza.jpg", "coffee.png")


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load.load("demo", "pretrained", Settings())


@pytest.fixture(scope="module")
def photographs(model: LoadedModel) -> torch.Tensor:
    pictures = [decode.decode((embedded.SAMPLES / name).read_bytes(), Settings()) for name in PHOTOGRAPHS]
    return torch.cat([tensor_of(picture, model.spec) for picture in pictures])


@pytest.mark.parametrize("key", KEYS)
def test_the_answers_are_the_originals(
    key: str, whole_build: WholeBuild, model: LoadedModel, photographs: torch.Tensor
) -> None:
    run = _load(whole_build, key)
    with torch.inference_mode():
        for picture in photographs:
            expected, answer = model.module(picture[None])[0], run(picture[None])[0]
            assert answer.dtype == torch.float32
            assert float(expected.max() - expected[answer.argmax()]) < verdicts.NEAR_TIE
            assert torch.nn.functional.cosine_similarity(answer, expected, dim=0) >= FORMATS[key].least_cosine


def test_what_is_exported_shares_the_weights_and_leaves_the_model_as_it_is(model: LoadedModel) -> None:
    twin = with_plain_attention(model.module)
    assert all(block.attn.fused_attn for block in model.module.blocks)  # type: ignore[union-attr]
    assert not any(block.attn.fused_attn for block in twin.blocks)  # type: ignore[union-attr]
    ours = {name: tensor.data_ptr() for name, tensor in model.module.state_dict().items()}
    assert {name: tensor.data_ptr() for name, tensor in twin.state_dict().items()} == ours


def test_building_needs_nothing_on_the_path_and_prints_nothing_where_json_goes(whole_build: WholeBuild) -> None:
    assert whole_build.result.unbuilt == ()
    assert whole_build.printed == ""


@pytest.mark.parametrize(("key", "least"), [("executorch", 93), ("executorch_int8", 95)])
def test_what_the_delegate_leaves_to_the_runtime_is_told(key: str, least: float, whole_build: WholeBuild) -> None:
    delegation = next(artifact.delegation for artifact in whole_build.result.artifacts if artifact.format == key)
    assert delegation is not None
    assert least < delegation.percent < 100
    assert "aten_native_layer_norm_default" in delegation.undelegated
    assert not {"getitem", "executorch_call_delegate"} & set(delegation.undelegated)
    # Neither the guard of the fused attention, nor what only reshapes.
    assert len(delegation.undelegated) <= 2


@pytest.mark.parametrize("key", EXECUTORCH)
def test_a_program_for_one_picture_refuses_two(key: str, whole_build: WholeBuild, photographs: torch.Tensor) -> None:
    run = _load(whole_build, key)
    with pytest.raises(InvalidRequest, match=r"demo_executorch.*\.pte .*one picture at a time, not for 2"):
        run(photographs[:2])
    assert run(photographs[:1]).shape == (1, 1000)


@pytest.mark.parametrize(
    ("capabilities", "is_asked"),
    [
        ({"avx2": True, "avx512_vnni": False, "avx_vnni": False}, True),
        ({"avx2": True, "avx512_vnni": False, "avx_vnni": True}, False),
        ({"avx512_f": True, "avx512_vnni": True}, False),
    ],
)
def test_int8_products_do_not_overflow_where_the_processor_would_let_them(
    capabilities: dict[str, bool], is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    options = session_options()
    without = contextlib.nullcontext() if is_asked else pytest.raises(RuntimeError, match="x64quantprecision")
    with without:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"


def test_onnx_int8_is_as_near_to_the_original_as_its_int8_weights_allow(
    whole_build: WholeBuild, photographs: torch.Tensor
) -> None:
    """Of these four 0.9994 is the least."""
    int8, original = _load(whole_build, "onnx_int8"), _load(whole_build, "onnx")
    for picture in photographs:
        cosine = torch.nn.functional.cosine_similarity(int8(picture[None]), original(picture[None]))
        assert float(cosine) > 0.9992


@pytest.mark.parametrize("key", KEYS)
def test_a_picture_of_another_size_is_an_error_and_not_an_answer(key: str, whole_build: WholeBuild) -> None:
    with pytest.raises(RuntimeError):
        _load(whole_build, key)(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("damage", ["truncated", "one byte short", "empty", "garbage", "zeros", "another format"])
def test_damage_is_told_and_ends_no_process(key: str, damage: str, whole_build: WholeBuild, tmp_path: Path) -> None:
    whole = whole_build.path(key).read_bytes()
    other = whole_build.path("onnx" if key in EXECUTORCH else "executorch").read_bytes()
    path = tmp_path / whole_build.path(key).name
    path.write_bytes(
        {
            "truncated": whole[: len(whole) // 2],
            "one byte short": whole[:-1],
            "empty": b"",
            "garbage": b"\x80garbage" * 1000,
            "zeros": bytes(len(whole)),
            "another format": other,
        }[damage]
    )
    with pytest.raises(InvalidArtifact, match=f"{path.name} is damaged or no (ExecuTorch|ONNX) file"):
        FORMATS[key].load(path)


@pytest.mark.parametrize("key", EXECUTORCH)
def test_programs_follow_the_threads_of_torch_and_outlive_a_change_of_them(
    key: str, whole_build: WholeBuild, photographs: torch.Tensor
) -> None:
    from executorch.extension.pybindings import _portable_lib as runtime

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = _load(whole_build, key)
        assert runtime._threadpool_get_thread_count() == 1
        torch.set_num_threads(2)
        second = _load(whole_build, key)
        assert torch.equal(first(photographs[:1]), second(photographs[:1]))
        del first, second
        third = _load(whole_build, key)
        assert runtime._threadpool_get_thread_count() == 2
        del third
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("key", ONNX)
def test_the_graph_is_one_file_that_browsers_and_old_runtimes_read(key: str, whole_build: WholeBuild) -> None:
    onnx.checker.check_model(whole_build.path(key), full_check=True)
    model = onnx.load(whole_build.path(key), load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    assert _shapes(model.graph.input) == {"input": ["batch", 3, 224, 224]}
    assert _shapes(model.graph.output) == {"logits": ["batch", 1000]}


def test_the_patch_convolution_and_attention_stay_float_in_the_int8_graph(whole_build: WholeBuild) -> None:
    graph = onnx.load(whole_build.path("onnx_int8")).graph
    operators = [node.op_type for node in graph.node]
    assert "ConvInteger" not in operators
    assert operators.count("Conv") == 1
    # Four Linear layers and two products of attention in each of twelve blocks, and the two heads.
    assert operators.count("MatMulInteger") == 12 * 4 + 2
    assert operators.count("MatMul") == 12 * 2


@pytest.mark.parametrize("key", ONNX)
def test_the_graph_tells_no_paths_of_this_machine(key: str, whole_build: WholeBuild) -> None:
    content = whole_build.path(key).read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[3]).encode() not in content


def test_a_batch_answers_as_its_pictures_do_one_by_one(whole_build: WholeBuild, photographs: torch.Tensor) -> None:
    run = _load(whole_build, "onnx")
    together = run(photographs)
    assert together.shape == (len(photographs), 1000)
    assert torch.allclose(together, torch.cat([run(picture[None]) for picture in photographs]), atol=1e-4)


def test_a_missing_package_is_told_with_the_command_that_installs_it() -> None:
    assert missing({"torch": "2.12.1", "no-such-runtime": "1.2", "nor-this-one": "3"}) == (
        "Install what it needs: pip install no-such-runtime==1.2 nor-this-one==3"
    )
    assert all(FORMATS[key].probe() is None for key in KEYS)


def _load(whole_build: WholeBuild, key: str) -> Run:
    return FORMATS[key].load(whole_build.path(key))


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, list[str | int]]:
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim] for value in values
    }
