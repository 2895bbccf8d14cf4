"""What a host offers, what fits into its memory, and the settings for both."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

from deploy_core import build, settings
from deploy_core.errors import DeployError, InvalidRequest, PictureUnreachable, WeightsUnavailable
from deploy_core.formats import FORMATS, in_build_order
from deploy_core.inference import capacity, classify
from deploy_core.models import load
from deploy_core.models.catalogue import MODELS
from deploy_core.models.own import card
from deploy_core.pictures.fetch import fetch
from deploy_core.processes.local import WorkerProcess
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest
from deploy_core.worker.tasks import ListAbilities
from tests.own_model import LABELS, SHAPE, model_file, state

PROJECT = Path(__file__).parents[3]
GB = 1_000_000_000


@pytest.mark.parametrize("document", ["README.md", "docs/hosting.md"])
def test_the_documents_table_of_settings_is_the_codes(document: str) -> None:
    assert settings.table() in (PROJECT / document).read_text()


def test_by_default_everything_is_offered() -> None:
    assert capacity.offered_models(Settings()) == tuple(MODELS)
    assert capacity.offered_formats(Settings()) == tuple(FORMATS)


def test_the_host_names_what_it_offers() -> None:
    host = Settings(models="demo, deit_small_patch16_224", formats="lite,onnx_int8", largest_parameters=6_000_000)
    assert capacity.offered_models(host) == ("demo",)
    assert capacity.offered_formats(host) == ("original", "lite", "onnx_int8")
    with pytest.raises(InvalidRequest, match="names 'vgg', which is not one of the models"):
        capacity.offered_models(Settings(models="vgg"))
    with pytest.raises(InvalidRequest, match="DEIT_DEPLOY_FORMATS names 'pickle'"):
        capacity.offered_formats(Settings(formats="pickle"))


def test_what_is_not_offered_is_refused_in_the_core_too(tmp_path: Path) -> None:
    host = Settings(models="demo", formats="scripted")
    with pytest.raises(InvalidRequest, match="DeiT-Tiny is not offered on this host. Choose one of: demo."):
        classify.open_model("deit_tiny_patch16_224", "random", host)
    with pytest.raises(InvalidRequest, match="ONNX: not offered on this host. Choose from: Original, Scripted."):
        build.build_into(tmp_path, BuildRequest("demo", "pretrained", ("onnx",)), host)


def test_what_a_format_needs_is_built_also_where_it_is_not_offered(tmp_path: Path) -> None:
    spec = load.find("demo")
    capacity.require_build(spec, ("lite",), in_build_order(["lite"]), Settings(formats="lite"))


def test_a_model_that_does_not_fit_is_refused_with_one_that_does() -> None:
    with pytest.raises(InvalidRequest) as caught:
        classify.open_model("deit_base_patch16_224", "random", Settings(memory_bytes=int(1.3 * GB)))
    assert "DeiT-Base (the tutorial's) needs about 1.8 GB of memory, and this host has 1.3 GB." in str(caught.value)
    assert "would fit" in caught.value.remedy
    with pytest.raises(InvalidRequest, match="raise DEIT_DEPLOY_MEMORY_BYTES"):
        classify.open_model("demo", "pretrained", Settings(memory_bytes=GB // 4))


def test_a_build_that_does_not_fit_is_refused_with_formats_that_do() -> None:
    spec, every = load.find("deit_base_patch16_224"), tuple(FORMATS)
    words = f"Building {len(every)} files of DeiT-Base.*Build fewer at once: Original"
    with pytest.raises(InvalidRequest, match=words):
        capacity.require_build(spec, every, in_build_order(every), Settings(memory_bytes=int(2.4 * GB)))
    with pytest.raises(InvalidRequest, match="DeiT.* would fit"):
        capacity.require_build(spec, every, in_build_order(every), Settings(memory_bytes=int(1.3 * GB)))
    small = load.find("deit_tiny_patch16_224")
    capacity.require_build(small, every, in_build_order(every), Settings(memory_bytes=4 * GB))
    installed = tuple(key for key, row in FORMATS.items() if row.requirements is None)
    capacity.require_build(small, installed, in_build_order(installed), Settings(memory_bytes=int(2.5 * GB)))


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("0::/system.slice/deit.service", "sys/fs/cgroup/system.slice/deit.service/memory.max"),
        ("0::/system.slice/deit.service", "sys/fs/cgroup/system.slice/memory.max"),
        ("0::/", "sys/fs/cgroup/memory.max"),
        ("7:memory:/docker/abc", "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes"),
        ("7:memory:/docker/abc", "sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ],
)
def test_memory_is_that_of_the_control_group(line: str, limit: str, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n3:cpu:/x\n")
    path = tmp_path / limit
    path.parent.mkdir(parents=True)
    path.write_text("max\n")
    assert capacity.available(Settings(), tmp_path) > GB
    path.write_text("1500000000\n")
    assert capacity.available(Settings(), tmp_path) == 1_500_000_000
    assert capacity.available(Settings(memory_bytes=7), tmp_path) == 7


def test_an_own_model_that_is_too_large_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(state(), tmp_path / "mine.safetensors")
    with pytest.raises(DeployError, match="this app takes models of up to 0 million"):
        model_file(tmp_path / "mine.safetensors", "mine", tmp_path, Settings(largest_parameters=1000))
    with pytest.raises(InvalidRequest, match="Reading this checkpoint needs about 2.7 GB"):
        capacity.require_checkpoint(400_000_000, Settings(memory_bytes=2 * GB))


def test_a_small_model_with_many_tokens_is_counted_by_what_they_take() -> None:
    many = replace(card.without_file(replace(SHAPE, width=768, heads=12, size=400), "mine", LABELS), file=Path("mine"))
    assert many.architecture
    assert many.architecture.tokens == 2501
    with pytest.raises(InvalidRequest, match=r"mine needs about 1.5 GB.*DeiT.* would fit"):
        capacity.require_model(many, Settings(memory_bytes=int(1.4 * GB)))
    with pytest.raises(InvalidRequest, match="Building 1 files of mine needs about"):
        capacity.require_build(many, ("original",), in_build_order(["original"]), Settings(memory_bytes=int(1.4 * GB)))


def test_offline_nothing_leaves_the_host() -> None:
    with pytest.raises(PictureUnreachable, match="works without a network"):
        fetch("https://example.org/a.png", Settings(offline=1))
    with pytest.raises(WeightsUnavailable, match="not in the local cache"):
        load.load("deit_tiny_patch16_224", "pretrained", Settings(offline=1))


def test_the_other_processes_keep_to_the_threads_and_formats_of_the_settings(limits: Settings) -> None:
    process = WorkerProcess("worker", dataclasses.replace(limits, cpu_threads=1, formats="scripted"))
    try:
        found = process.submit(ListAbilities()).result()
        assert list(found.formats) == ["original", "scripted"]
        environment = Path(f"/proc/{process.process_id}/environ").read_bytes().split(b"\0")
        assert b"OMP_NUM_THREADS=1" in environment
    finally:
        process.close()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("INFERENCES", "0", "no number from 1"),
        ("FETCH_SECONDS", "0", "no number above 0"),
        ("MEMORY_BYTES", "-1", "no number above 0"),
        ("CPU_THREADS", "many", "no number above 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"DEIT_DEPLOY_{name}", value)
    with pytest.raises(InvalidRequest, match=words):
        settings.load()
