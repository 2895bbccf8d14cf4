"""Formats share one export, and its lowering leaves out what changes nothing: their files are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from deploy_core.formats import FORMATS
from deploy_core.formats.executorch import conversion
from deploy_core.formats.exporting import program
from deploy_core.formats.format import Workbench
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.settings import Settings

# Those that read the export in this process. The last never gives the same bytes twice.
KEYS = ("executorch", "executorch_int8", "coreml", "executorch_coreml")


@pytest.fixture(scope="module")
def model(pets: Path) -> LoadedModel:
    return load.load(str(pets), "pretrained", Settings())


@pytest.fixture(scope="module")
def shared(model: LoadedModel) -> Workbench:
    """What all of them have read in turn."""
    bench = Workbench(model, "qnnpack", "default")
    before = program(bench), str(program(bench))
    for key in KEYS:
        bench.results[key] = FORMATS[key].convert(bench)
    assert (program(bench), str(program(bench))) == before
    return bench


@pytest.fixture
def alone(model: LoadedModel) -> Workbench:
    return Workbench(model, "qnnpack", "default")


def data(key: str, bench: Workbench, path: Path) -> bytes:
    FORMATS[key].save(bench, bench.results[key], path)
    return path.read_bytes()


@pytest.mark.parametrize("key", KEYS[:-1])
def test_a_file_from_the_shared_export_is_that_from_an_export_of_its_own(
    key: str, shared: Workbench, alone: Workbench, tmp_path: Path
) -> None:
    alone.results[key] = FORMATS[key].convert(alone)
    assert data(key, shared, tmp_path / "file") == data(key, alone, tmp_path / "file")


def test_without_equal_bytes_the_programs_and_their_answers_are_equal(
    shared: Workbench, alone: Workbench, tmp_path: Path
) -> None:
    row = FORMATS[KEYS[-1]]
    assert row.read_back
    alone.results[row.key] = row.convert(alone)
    readings = []
    for name, bench in (("shared", shared), ("alone", alone)):
        row.save(bench, bench.results[row.key], tmp_path / name)
        readings.append(row.read_back(tmp_path / name, bench.model.module))
    picture = torch.rand(1, 3, 32, 32)
    ours, theirs = readings
    assert ours.operators == theirs.operators
    assert torch.equal(ours.run(picture), theirs.run(picture))


@contextmanager
def whole() -> Iterator[None]:
    yield


@pytest.mark.parametrize("key", ["executorch", "executorch_int8"])
def test_what_lowering_leaves_out_changes_no_byte(
    key: str, shared: Workbench, alone: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "lean", whole)
    alone.results[key] = FORMATS[key].convert(alone)
    assert data(key, shared, tmp_path / "file") == data(key, alone, tmp_path / "file")
