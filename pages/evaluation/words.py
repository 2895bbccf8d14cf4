"""Names and numbers as the page of an evaluation writes them."""

from __future__ import annotations

from deploy_core.evaluation.results import Result
from deploy_core.formats import FORMATS


def title(result: Result) -> str:
    return FORMATS[result.subject].title


def short(label: str) -> str:
    """The first of a label's synonyms."""
    return label.split(",")[0]


def signed_points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{share * 100:+.2f}".replace("-", "\N{MINUS SIGN}")
