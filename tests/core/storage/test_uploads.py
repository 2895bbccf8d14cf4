from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from deploy_core.errors import StorageFailed
from deploy_core.settings import Settings
from deploy_core.storage.uploads import Uploads


@pytest.fixture
def uploads(limits: Settings) -> Uploads:
    return Uploads(dataclasses.replace(limits, upload_bytes=100))


def test_a_file_is_kept_once_under_its_hash_and_name(uploads: Uploads) -> None:
    first = uploads.keep("mine.zip", b"pictures")
    assert first == uploads.keep("mine.zip", b"pictures")
    assert first.read_bytes() == b"pictures"
    assert first.name == "mine.zip"
    assert first.parent.parent == uploads.folder
    other = uploads.keep("other name.zip", b"pictures")
    assert other.parent == first.parent
    assert other.name == "other name.zip"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../evil.zip", "evil.zip"),
        ("..\\..\\evil.tar.gz", "evil.tar.gz"),
        ("..", "upload"),
        ("", "upload"),
        (".hidden.zip", "hidden.zip"),
        ("line\nbreak\0.zip", "linebreak.zip"),
        ("x" * 5000 + ".zip", "x" * 56 + ".zip"),
    ],
)
def test_a_name_leads_nowhere_else(uploads: Uploads, name: str, kept: str) -> None:
    path = uploads.keep(name, b"others")
    assert path.name == kept
    assert path.parent.parent == uploads.folder


def test_the_oldest_go_first(uploads: Uploads) -> None:
    kept = [uploads.keep(f"{number}.zip", bytes([number]) * 40) for number in range(2)]
    for path, seconds in zip(kept, (1, 2), strict=True):
        os.utime(path, (seconds, seconds))
    uploads.keep("0.zip", bytes([0]) * 40)
    third = uploads.keep("2.zip", bytes([2]) * 40)
    assert [path.exists() for path in (*kept, third)] == [True, False, True]


def test_a_file_beyond_the_bound_is_told(uploads: Uploads, limits: Settings) -> None:
    small = uploads.keep("small.zip", b"small")
    with pytest.raises(StorageFailed, match="Give a smaller one"):
        uploads.keep("large.zip", bytes(101))
    assert small.exists()
    assert list(Path(limits.home / "uploads").iterdir()) == [small.parent]
