"""A person's own pictures for static quantizers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deploy_core import embedded
from deploy_core.cli.main import main
from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation import calibration
from deploy_core.inference import calibration as shipped
from deploy_core.models import load
from deploy_core.settings import Settings
from tests.own_model import LABELS

EACH = 3


@pytest.fixture
def own_pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "my pictures"
    photographs = iter(embedded.photographs())
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for _ in range(EACH):
            shutil.copy(next(photographs), folder / label)
    (folder / LABELS[0] / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_the_pictures_of_all_classes_are_taken_and_hashed(own_pictures: Path, pets: Path) -> None:
    spec = load.find(str(pets))
    found = calibration.of_set(own_pictures, spec, Settings())
    assert found.record.source == "my pictures"
    assert found.record.pictures == len(found.inputs) == EACH * len(LABELS)
    assert found.inputs.shape[1:] == (3, spec.input_size, spec.input_size)
    assert calibration.of_set(own_pictures, spec, Settings()).record == found.record
    next((own_pictures / LABELS[1]).iterdir()).unlink()
    assert calibration.of_set(own_pictures, spec, Settings()).record.sha256 != found.record.sha256


def test_of_a_large_set_every_few_pictures_are_taken(
    own_pictures: Path, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "PICTURES", 4)
    found = calibration.of_set(own_pictures, load.find(str(pets)), Settings())
    assert 1 < found.record.pictures <= 4


def test_a_set_without_a_readable_picture_is_told(tmp_path: Path, pets: Path) -> None:
    (tmp_path / "set" / LABELS[0]).mkdir(parents=True)
    (tmp_path / "set" / LABELS[0] / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(InvalidPictureSet, match="None of the pictures in set can be read"):
        calibration.of_set(tmp_path / "set", load.find(str(pets)), Settings())


@pytest.mark.usefixtures("few_pictures")
def test_a_build_learns_from_them_and_says_so(
    own_pictures: Path, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build", "--model", str(pets), "--formats", "onnx_w8a16", "--calibrate", str(own_pictures)]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    rows = {row["format"]: row for row in json.loads(capsys.readouterr().out)["artifacts"]}
    assert rows["onnx_w8a16"]["calibration"]["source"] == "my pictures"
    assert rows["onnx"]["calibration"] is None
