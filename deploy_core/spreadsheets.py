"""Tables as CSV. A spreadsheet reads numbers as numbers and computes no text as a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(fields: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A header with the names of ``fields``, then one line for each row. A missing field is empty."""
    buffer = StringIO()
    # RFC 4180 ends lines with "\r\n". With "\n" alone, a carriage return in a text would not be quoted.
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(map(_cell, fields))
    writer.writerows([_cell(row.get(field)) for field in fields] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    """Puts an apostrophe before a text that begins like a formula, so that no spreadsheet computes it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
