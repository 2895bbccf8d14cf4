"""An evaluation as a table for spreadsheets."""

from __future__ import annotations

from deploy_core import spreadsheets
from deploy_core.evaluation.results import Evaluation, Result
from deploy_core.formats import FORMATS

CSV_FIELDS = (
    "File", "Top-1", "Top-1 low", "Top-1 high", "Change, points", "Change low", "Change high", "Other answers", "Won",
    "Lost", "Top-5", "Calibration error", "Pictures/s",
)  # fmt: skip


def as_csv(evaluation: Evaluation) -> str:
    """One line per file: shares in per cent, changes in percentage points, and the ends of the 95 % intervals."""
    return spreadsheets.as_csv(CSV_FIELDS, map(_row, evaluation.results))


def _row(result: Result) -> dict[str, object]:
    score, change = result.score, result.change
    row: dict[str, object] = {
        "File": FORMATS[result.subject].title,
        "Top-1": score.top1 * 100,
        "Top-1 low": score.top1_interval[0] * 100,
        "Top-1 high": score.top1_interval[1] * 100,
        "Top-5": score.top5 * 100,
        "Calibration error": score.ece * 100,
        "Pictures/s": score.images_per_second,
    }
    if change:
        row |= {
            "Change, points": change.top1 * 100,
            "Change low": change.interval[0] * 100,
            "Change high": change.interval[1] * 100,
            "Other answers": change.flipped,
            "Won": change.gained,
            "Lost": change.lost,
        }
    return row
