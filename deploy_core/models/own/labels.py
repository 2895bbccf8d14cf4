"""Class names, from a file of labels or from the notes that a training script saves with a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy_core.errors import InvalidRequest

# The keys under which training scripts save the names of the classes.
NOTES = ("label_names", "labels", "class_names", "classes", "id2label", "class_to_idx", "label2id")
LONGEST_LABEL = 200
LARGEST_FILE = 2_000_000


def parse_labels(data: bytes) -> tuple[str, ...]:
    """The labels in the bytes of a file, by class index.

    The file is text with one label a line, or JSON: a list, or a mapping between index and label in either direction.
    Raises InvalidRequest.
    """
    unreadable = InvalidRequest(
        "The labels cannot be read.", "Give a text file with one label a line, or JSON: a list, or index to label."
    )
    if len(data) > LARGEST_FILE:
        raise unreadable
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip()[:1] in ("[", "{"):
            raise unreadable from None
        document = [line for line in text.splitlines() if line.strip()]
    labels = _by_index(document) or (labels_in_notes(document) if isinstance(document, dict) else None)
    if not labels:
        raise unreadable
    return labels


def labels_in_notes(notes: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The labels under one of the keys ``NOTES``, as they are or as JSON text; None if there are none."""
    for key in NOTES:
        value = notes.get(key)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                continue
        labels = _by_index(value)
        if labels:
            return labels
    return None


def clean_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels as one printable line each, so that no label can break a table, a file of labels, or a page."""
    return tuple(
        "".join(letter if letter.isprintable() else " " for letter in label).strip()[:LONGEST_LABEL] for label in labels
    )


def _by_index(value: Any) -> tuple[str, ...] | None:
    """The labels in a list, or in a mapping from index to label or from label to index; None for anything else."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
        if all(isinstance(index, int) for _, index in pairs):
            pairs = [(index, label) for label, index in pairs]
        try:
            by_index = {int(index): label for index, label in pairs}
        except (TypeError, ValueError):
            return None
        if sorted(by_index) != list(range(len(by_index))):
            return None
        value = [by_index[index] for index in range(len(by_index))]
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        return None
    return clean_labels(value) if all(isinstance(label, str) and label.strip() for label in value) else None
