"""Photographs for training: found in folders and archives, decoded once, and refused in sentences."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from PIL import Image

from deploy_core.errors import InvalidPictureSet
from deploy_core.settings import Settings
from deploy_core.training import photographs
from deploy_core.training.photographs import Photographs
from deploy_core.types import Preprocessing

Files = Mapping[str, bytes]


def picture(colour: str, size: tuple[int, int] = (40, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def as_folder(files: Files, path: Path) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_tar(files: Files, path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def as_zip(files: Files, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read(path: Path, side: int = 32) -> Photographs:
    return photographs.without_labels(path, side, "cpu", Settings())


def read_classes(path: Path) -> tuple[Photographs, tuple[str, ...]]:
    pictures, names = photographs.open_classes(path, Settings())
    return photographs.of_classes(pictures, {name: index for index, name in enumerate(names)}, 32, "cpu"), names


@pytest.mark.parametrize("pack", [as_folder, as_tar, as_zip])
def test_photographs_are_found_wherever_they_lie(pack: Callable[[Files, Path], Path], tmp_path: Path) -> None:
    files = {
        "a.png": picture("red"),
        "deep/er/b.PNG": picture("lime"),
        "notes.txt": b"no picture",
        ".hidden/c.png": picture("blue"),
        "damaged.png": picture("blue")[:60],
    }
    found = read(pack(files, tmp_path / "set"))
    assert found.pixels.shape == (2, 3, 32, 32)
    assert found.pixels.dtype == torch.uint8
    assert found.pixels.float().mean((2, 3)).tolist() == [[255, 0, 0], [0, 255, 0]]
    assert found.labels is None
    assert found.unreadable == 1


def test_of_a_wide_photograph_the_center_square_is_kept(tmp_path: Path) -> None:
    wide = Image.new("RGB", (120, 40), "red")
    wide.paste("white", (40, 0, 80, 40))
    wide.save(tmp_path / "wide.png")
    assert read(tmp_path, side=40).pixels.unique().tolist() == [255]


def test_labels_are_the_folders_by_name(tmp_path: Path) -> None:
    files = {"set/lime/1.png": picture("lime"), "set/blue/1.png": picture("blue"), "set/blue/2.png": picture("blue")}
    found, names = read_classes(as_tar(files, tmp_path / "set.tar"))
    assert names == ("blue", "lime")
    assert found.labels is not None
    by_label = {
        names[label]: pixels for label, pixels in zip(found.labels, found.pixels.float().mean((2, 3)), strict=True)
    }
    assert {name: pixels.tolist() for name, pixels in by_label.items()} == {"blue": [0, 0, 255], "lime": [0, 255, 0]}
    assert sorted(found.labels.tolist()) == [0, 0, 1]


def test_a_damaged_labelled_picture_takes_its_label_with_it(tmp_path: Path) -> None:
    files = {"a/1.png": picture("red"), "a/2.png": b"", "b/1.png": picture("blue")}
    found, _ = read_classes(as_folder(files, tmp_path))
    assert found.labels is not None
    assert (found.labels.tolist(), found.unreadable) == ([0, 1], 1)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"notes.txt": b"no picture"}, "holds no pictures. Give a folder, tar or zip of photographs."),
        ({"a.png": b"", "b.png": b"no picture"}, "None of the 2 pictures can be read. Give a JPEG"),
    ],
)
def test_without_a_readable_photograph_there_is_no_run(files: Files, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidPictureSet, match=sentence):
        read(as_folder(files, tmp_path))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a.png": picture("red")}, "lies in no class folder"),
        ({"cat/1.png": picture("red"), "cat/2.png": picture("red")}, "are of one class, cat. Give a folder"),
        ({"cat/1.png": picture("red"), "dog/1.png": b""}, "None of the pictures of the class dog can be read."),
    ],
)
def test_classes_that_cannot_be_learnt_are_refused(files: Files, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidPictureSet, match=sentence):
        read_classes(as_folder(files, tmp_path))


def test_more_photographs_than_fit_into_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_folder({"a.png": picture("red"), "b.png": picture("red")}, tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * 3 * 32 * 32 - 1))
    with pytest.raises(InvalidPictureSet, match="The memory is full after 2 photographs of 3 kB. Give fewer"):
        read(tmp_path)


def test_measuring_goes_on_without_a_class_whose_pictures_are_damaged(tmp_path: Path) -> None:
    as_folder({"a/1.png": picture("red"), "b/1.png": b""}, tmp_path)
    pictures, _ = photographs.open_classes(tmp_path, Settings())
    how = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    found = photographs.for_measuring(pictures, {"a": 7, "b": 8}, how, "cpu")
    assert found.labels is not None
    assert (found.labels.tolist(), found.unreadable) == ([7], 1)
    assert found.pixels.float().mean((2, 3)).tolist() == [[255, 0, 0]]
