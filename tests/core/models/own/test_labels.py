"""Labels from the files that people have."""

from __future__ import annotations

import json

import pytest

from deploy_core import embedded
from deploy_core.errors import InvalidRequest
from deploy_core.models.own import labels

PICTURE = str(embedded.SAMPLES / "chelsea.png")


@pytest.mark.parametrize(
    "data",
    [
        b"cat\ndog\nfish\n",
        b"\xef\xbb\xbfcat\r\n\r\ndog\r\nfish",
        b'["cat", "dog", "fish"]',
        b'{"0": "cat", "1": "dog", "2": "fish"}',
        b'{"cat": 0, "fish": 2, "dog": 1}',
        b'{"id2label": {"0": "cat", "1": "dog", "2": "fish"}}',
        b'{"model": "x", "label_names": ["cat", "dog", "fish"]}',
    ],
)
def test_labels_in_the_forms_that_people_have(data: bytes) -> None:
    assert labels.parse_labels(data) == ("cat", "dog", "fish")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b'["a", ""]',
        b'{"0": "a", "2": "b"}',
        b"{}",
        b"[" * 99_999,
        b'{"a": "b"}',
        b"[]",
    ],
)
def test_labels_that_cannot_be_read_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="labels cannot be read"):
        labels.parse_labels(data)


def test_labels_cannot_break_a_page_or_a_file_of_labels() -> None:
    (first, _) = labels.parse_labels(json.dumps(["a\nb\x00\x1b[31m" + "x" * 999, "b"]).encode())
    assert first.isprintable()
    assert len(first) == 200
