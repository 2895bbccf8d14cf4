"""Tables as CSV that a spreadsheet reads as what they are: numbers are numbers, and no text is computed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(fields: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The ``fields`` of each row, below their names; what a row lacks is empty."""
    buffer = StringIO()
    # As RFC 4180 ends lines; with "\n" alone, a carriage return in a text would not be quoted, and begin a line.
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(map(_cell, fields))
    writer.writerows([_cell(row.get(field)) for field in fields] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    """A text that begins as a formula does, with an apostrophe before it, or whoever opens the file would compute it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
