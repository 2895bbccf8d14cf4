"""Records as JSON files: writes them, reads this version and older ones, and refuses a record that cannot be true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy_core import documents
from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS
from deploy_core.profile.record.doubts import doubts
from deploy_core.profile.record.record import VERSION, Record
from deploy_core.profile.record.upgrade import upgraded

MEASURE_AGAIN = "Measure again with 'python -m deploy_core profile'."


def save_record(record: Record, path: Path) -> None:
    """Writes a record as JSON, whole or not at all. Raises StorageFailed."""
    documents.write(path, record)


def read_record(path: Path) -> Record:
    """Reads a file that ``save_record`` wrote. Raises InvalidArtifact, as ``parse_record`` does."""
    try:
        return parse_record(path.read_bytes())
    except OSError as error:
        raise InvalidArtifact(f"There is no file {path}.", "Name a run that 'profile' saved.") from error


def parse_record(data: bytes) -> Record:
    """A record from its JSON, of this version or of one that ``upgrade`` converts.

    Raises InvalidArtifact for other JSON, another version, missing fields, and figures that cannot be true.
    """
    document = upgraded(_document(data))
    version = document.get("version")
    if type(version) is not int:
        raise InvalidArtifact("This is not the record of a profile.", MEASURE_AGAIN)
    if version != VERSION:
        raise InvalidArtifact(
            f"This is a record of version {version}, and this app reads version {VERSION}.", MEASURE_AGAIN
        )
    record = documents.structured(document, Record)
    named = {row.format for row in record.rows} | {failed.format for failed in record.unmeasured}
    if not named <= set(FORMATS):
        raise InvalidArtifact("The record names formats that this app does not know.", "Use the same version for both.")
    doubt = next(doubts(record), None)
    if doubt:
        raise InvalidArtifact(
            f"The figures of this record do not fit together: {doubt}.",
            "Use the file exactly as 'profile --json' wrote it.",
        )
    return record


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArtifact("This is not a JSON document.", "Give a file that 'profile --json' wrote.") from error
    return document if isinstance(document, dict) else {}
