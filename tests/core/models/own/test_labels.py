"""Labels from the files that people have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy_core.errors import InvalidRequest
from deploy_core.models.own import labels

REPORTED = Path(__file__).parent / "reported"
OCTOPUS = 'the "big" \N{OCTOPUS}'


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
        "cat\ndog\nfish\n".encode("utf-16"),
        b"\xfe\xff" + "cat\r\ndog\r\nfish".encode("utf-16-be"),
        "cat\ndog\nfish\n".encode("utf-32"),
        b'"cat"\n"dog"\n"fish"\n',
        b'{"label": "cat"}\n{"label": "dog"}\n{"label": "fish"}',
        b'{"id": 2, "name": "fish"}\n{"id": 0, "name": "cat"}\n{"id": 1, "name": "dog"}\n',
        b'[{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}, {"id": 2, "name": "fish"}]',
        b'[1, "dog"]\n["cat", 0]\n[2, "fish"]',
        b'{"0": ["n02121808", "cat"], "1": ["n02084071", "dog"], "2": ["n02512053", "fish"]}',
        b'{"cat": "0", "dog": "1", "fish": "2"}',
        b"0,cat\n1,dog\n2,fish\n",
        b"fish,2\ncat,0\ndog,1\n",
        b"index;label\r\n0;cat\r\n2;fish\r\n1;dog\r\n",
        b'"label","index"\n"cat","0"\n"dog","1"\n"fish","2"\n',
        b",label\n0,cat\n1,dog\n2,fish\n",
        b"index\twnid\tname\n0\tn02121808\tcat\n1\tn02084071\tdog\n2\tn02512053\tfish\n",
        b"name,species\ncat,Felis catus\ndog,Canis\nfish,many\n",
        b"n02121808,cat\nn02084071,dog\nn02512053,fish\n",
        b"n02121808 cat\nn02084071 dog\nn02512053 fish\n",
        b"0 cat\n1 dog\n2 fish\n",
        b"1: dog\n0: cat\n2: fish\n",
    ],
)
def test_labels_in_the_forms_that_people_have(data: bytes) -> None:
    assert labels.parse_labels(data) == ("cat", "dog", "fish")


@pytest.mark.parametrize("name", ["jsonl.txt", "keras_index.json", "utf16le_bom.txt"])
def test_reported_files_are_read(name: str) -> None:
    assert labels.parse_labels((REPORTED / name).read_bytes()) == ("cat", "dog", "caf\u00e9", "crane, bird", OCTOPUS)


def test_the_reported_table_is_read() -> None:
    read = labels.parse_labels((REPORTED / "csv_quoted.csv").read_bytes())
    assert read == ("crane, bird", "dog", "x", "y", "z")


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_a_label_may_hold_what_ends_a_line_elsewhere(separator: str) -> None:
    assert labels.parse_labels(f"big{separator}cat\ndog\n".encode()) == ("big cat", "dog")
    assert labels.parse_labels((REPORTED / "ctrl.txt").read_bytes()) == ("a b", "c", "d", "e", "f")


@pytest.mark.parametrize(
    "lines",
    [
        ("tench, Tinca tinca", "goldfish, Carassius auratus"),
        ("crane, bird, grey", "dog"),
        ("2 doors", "3 doors", "4 doors"),
        ("0", "1", "2"),
        ("3", "5", "7"),
        ("true", "false"),
        ("cat; tame", "cat; wild"),
        ("a: b", "c: d"),
        ("0.5 mm", "1.5 mm"),
    ],
)
def test_plain_lines_stay_what_they_are(lines: tuple[str, ...]) -> None:
    assert labels.parse_labels("\n".join(lines).encode()) == lines


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("café\nnaïve".encode("latin-1"), "encoding is unknown"),
        ("猫\n狗".encode("gbk"), "encoding is unknown"),
        ("cat\ndog".encode("utf-16-le"), "encoding is unknown"),
        (b"1,cat\n2,dog\n", "numbered from 1 to 2"),
        (b"1 cat\n2 dog\n", "numbered from 1 to 2"),
        (b'{"1": "cat", "2": "dog"}', "numbered from 1 to 2"),
        (b'{"0": "cat", "2": "dog"}', "numbered from 0 to 2"),
        (b"0,cat\n1,\n", "cannot be read"),
        (b" " * 2_000_001, "more than 2 MB"),
    ],
)
def test_the_reason_for_a_refusal_is_said(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        labels.parse_labels(data)
    assert caught.value.remedy


def test_notes_with_gaps_in_their_numbers_are_no_labels() -> None:
    assert labels.labels_in_notes({"id2label": {"1": "cat", "2": "dog"}}) is None
    assert labels.labels_in_notes({"id2label": '{"1": "dog", "0": "cat"}'}) == ("cat", "dog")


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
