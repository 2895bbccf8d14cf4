"""Class names, from a file of labels or from the notes that a training script saves with a checkpoint."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from deploy_core.errors import InvalidRequest
from deploy_core.models.own import label_files

# The keys under which training scripts save the names of the classes.
NOTES = ("label_names", "labels", "class_names", "classes", "id2label", "class_to_idx", "label2id")
LONGEST_LABEL = 200
LARGEST_FILE = 2_000_000


def parse_labels(data: bytes) -> tuple[str, ...]:
    """The labels in the bytes of a file, by class index, in any of the forms that ``label_files`` knows.

    Raises InvalidRequest, which says if the encoding or the numbers of the classes are the reason.
    """
    if len(data) > LARGEST_FILE:
        raise InvalidRequest(f"The labels have more than {LARGEST_FILE / 1e6:.0f} MB.", label_files.REMEDY)
    text = label_files.text_of(data)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        labels = labels_in_notes(document) or label_files.labels_of(document)
    elif isinstance(document, list):
        labels = label_files.labels_of(document)
    else:
        labels = label_files.labels_in(text)
    # Text that begins like JSON and was not read as such is damaged.
    if not labels or (document is None and labels[0].lstrip().startswith(("[", "{"))):
        raise InvalidRequest("The labels cannot be read.", label_files.REMEDY)
    return clean_labels(labels)


def labels_in_notes(notes: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The labels under one of the keys ``NOTES``, as they are or as JSON text; None if there are none."""
    for key in NOTES:
        value = notes.get(key)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                continue
        with suppress(InvalidRequest):
            labels = label_files.labels_of(value)
            if labels:
                return clean_labels(labels)
    return None


def clean_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels as one printable line each, so that no label can break a table, a file of labels, or a page.

    Their letters are in Unicode's composed form.
    """
    return tuple(_printable(unicodedata.normalize("NFC", label)).strip()[:LONGEST_LABEL] for label in labels)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
