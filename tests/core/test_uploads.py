from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from deploy_core.errors import StorageFailed
from deploy_core.settings import Settings
from deploy_core.uploads import Uploads


@pytest.fixture
def uploads(limits: Settings) -> Uploads:
    return Uploads(dataclasses.replace(limits, upload_bytes=100))


def test_a_file_is_kept_once_under_its_hash(uploads: Uploads) -> None:
    first = uploads.keep("mine.pth", b"weights")
    assert first == uploads.keep("other name.pth", b"weights")
    assert first.read_bytes() == b"weights"
    assert first.suffix == ".pth"
    assert uploads.keep("../../evil.pth", b"others").parent == first.parent


def test_the_oldest_go_first(uploads: Uploads) -> None:
    kept = [uploads.keep(f"{number}.zip", bytes([number]) * 40) for number in range(2)]
    for path, seconds in zip(kept, (1, 2), strict=True):
        os.utime(path, (seconds, seconds))
    uploads.keep("again.zip", bytes([0]) * 40)
    third = uploads.keep("2.zip", bytes([2]) * 40)
    assert [path.exists() for path in (*kept, third)] == [True, False, True]


def test_a_file_beyond_the_bound_is_told(uploads: Uploads, limits: Settings) -> None:
    small = uploads.keep("small.zip", b"small")
    with pytest.raises(StorageFailed, match="Give a smaller one"):
        uploads.keep("large.zip", bytes(101))
    assert small.exists()
    assert list(Path(limits.home / "uploads").iterdir()) == [small]
