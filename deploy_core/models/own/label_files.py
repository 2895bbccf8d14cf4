"""The forms in which people keep the names of classes: lines, tables, JSON, JSON lines, and ImageNet's lists."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from deploy_core.errors import InvalidRequest

REMEDY = "Give a text file with one label a line, a CSV with a column of numbers from 0, or JSON."
# Longer marks first: UTF-32's begins with UTF-16's.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Other signs that end a line in Python may be part of a label.
LINE = re.compile(r"\r\n|\r|\n")
WORDNET = re.compile(r"n\d{2,8}")
SYNSET = re.compile(rf"({WORDNET.pattern})\s+(\S.*)")
NUMBERED = re.compile(r"(\d+)\s*[:,;\s]\s*(\S.*)")
DELIMITERS = "\t;,"
# The names of columns and keys that hold labels, the surest first.
NAMES = ("label", "labels", "class_name", "class name", "name", "class", "category", "text")


def text_of(data: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark. Raises InvalidRequest."""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidRequest("The labels cannot be read: their encoding is unknown.", "Save the file as UTF-8.")
    return text


def labels_in(text: str) -> tuple[str, ...] | None:
    """The labels in a text that is not one JSON document, by class index; None if there are none."""
    lines = [line for line in LINE.split(text) if line.strip()]
    rows = _json_lines(lines)
    if rows is not None and (found := labels_of(rows)):
        return found
    if found := _in_table(text):
        return found
    synsets = [match[2] for line in lines if (match := SYNSET.fullmatch(line.strip()))]
    if lines and len(synsets) == len(lines):
        return tuple(synsets)
    numbered = [match.groups() for line in lines if (match := NUMBERED.fullmatch(line.strip()))]
    numbers = sorted(int(number) for number, _ in numbered)
    # From 2 on, such as "2 doors" and "3 doors", the numbers are part of the labels.
    if lines and len(numbered) == len(lines) and numbers[0] <= 1 and _is_numbering(numbers):
        _require_numbering(numbers)
        return tuple(label for _, label in sorted(numbered, key=lambda pair: int(pair[0])))
    return tuple(lines) or None


def labels_of(value: Any) -> tuple[str, ...] | None:
    """The labels in a list, or in a mapping from index to label or from label to index; None for anything else.

    Raises InvalidRequest for labels that are numbered, but not from 0.
    """
    if isinstance(value, Mapping):
        pairs = [(index, _name(label)) for index, label in value.items()]
        if not all(label and _is_number(index) for index, label in pairs):
            pairs = [(index, _name(label)) for label, index in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        pairs = [_pair(place, row) for place, row in enumerate(value)]
    else:
        return None
    if not pairs or not all(label and _is_number(index) for index, label in pairs):
        return None
    by_index = {int(index): str(label) for index, label in pairs}
    _require_numbering([index for index, _ in pairs])
    return tuple(by_index[index] for index in range(len(by_index)))


def _json_lines(lines: Sequence[str]) -> list[Any] | None:
    try:
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return None


def _pair(place: int, row: Any) -> tuple[Any, str | None]:
    """The index and the label of an entry in a list; without an index, it has its place."""
    if isinstance(row, Mapping):
        index = next((value for value in row.values() if isinstance(value, int)), place)
        return index, _name(row)
    if isinstance(row, list) and len(row) == 2 and any(isinstance(cell, int) for cell in row):
        index, label = row if isinstance(row[0], int) else reversed(row)
        return index, _name(label)
    return place, _name(row)


def _name(value: Any) -> str | None:
    """A label: a text, the name beside a WordNet id, or the name in a mapping."""
    if isinstance(value, list) and len(value) == 2 and WORDNET.fullmatch(str(value[0])):
        value = value[1]
    if isinstance(value, Mapping):
        texts = [text for text in value.values() if isinstance(text, str)]
        value = next((value[key] for key in NAMES if isinstance(value.get(key), str)), texts[0] if texts else None)
    return value if isinstance(value, str) and value.strip() else None


def _in_table(text: str) -> tuple[str, ...] | None:
    """The labels in the rows of a table, ordered by its column of numbers; None if the text is no such table.

    A comma alone makes no table: many labels have one. There must be a column of numbers or of WordNet ids, a first
    row that names a column of labels, or one column in quotes.
    """
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
        except csv.Error:
            continue
        rows = [[cell.strip() for cell in row] for row in rows]
        if {len(row) for row in rows} == {1} and delimiter == "," and text.startswith('"'):
            return tuple(row[0] for row in rows)
        if len({len(row) for row in rows}) == 1 and (found := _in_rows(rows)):
            return found
    return None


def _in_rows(rows: list[list[str]]) -> tuple[str, ...] | None:
    head = [cell.casefold() for cell in rows[0]]
    named = next((head.index(name) for name in NAMES if name in head), None)
    for body in (rows, rows[1:]):
        columns = [*zip(*body, strict=True)]
        numbers = next((place for place, cells in enumerate(columns) if _is_numbering(cells)), None)
        ids = next((place for place, cells in enumerate(columns) if all(map(WORDNET.fullmatch, cells))), None)
        if body and (numbers is not None or ids is not None or (named is not None and body is not rows)):
            others = [place for place in range(len(head)) if place not in (numbers, ids)]
            place = named if named in others else next(iter(others), None)
            if place is None:
                return None
            if not all(columns[place]):
                raise InvalidRequest("The labels cannot be read: one of them is empty.", "Name each class.")
            order = [int(number) for number in columns[numbers]] if numbers is not None else range(len(body))
            _require_numbering(order)
            return tuple(label for _, label in sorted(zip(order, columns[place], strict=True)))
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal())


def _is_numbering(cells: Sequence[Any]) -> bool:
    """Whether the cells number classes: without a gap, from any number, in any order."""
    if not cells or not all(map(_is_number, cells)):
        return False
    numbers = sorted(int(cell) for cell in cells)
    return numbers == [*range(numbers[0], numbers[0] + len(numbers))]


def _require_numbering(indices: Sequence[Any]) -> None:
    numbers = sorted(int(index) for index in indices)
    if numbers != [*range(len(numbers))]:
        raise InvalidRequest(
            f"The labels cannot be read: the {len(numbers)} of them are numbered from {numbers[0]} to {numbers[-1]}.",
            "Number each class once, from 0, as the model counts them.",
        )
