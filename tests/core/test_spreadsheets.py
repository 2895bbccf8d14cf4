"""What is exported as CSV: numbers, and texts that no spreadsheet computes."""

from __future__ import annotations

import csv
import io

import pytest

from deploy_core import embedded, spreadsheets
from deploy_core.evaluation import tables
from deploy_core.evaluation.results import read_evaluation
from deploy_core.formats import FORMATS


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_text_that_begins_as_a_formula_stays_text(mark: str) -> None:
    formula = f'{mark}HYPERLINK("http://evil.test")'
    text = spreadsheets.as_csv(["name", formula], [{"name": formula, formula: "a = b"}])
    assert cells(text) == [["name", f"'{formula}"], [f"'{formula}", "a = b"]]


def test_numbers_stay_numbers_and_what_is_missing_is_empty() -> None:
    text = spreadsheets.as_csv(["a", "b", "c", "d"], [{"a": -1.5, "b": -2, "c": None, "more": 1}])
    assert text == "a,b,c,d\r\n-1.5,-2,,\r\n"


def test_a_carriage_return_inside_a_text_begins_no_line() -> None:
    assert spreadsheets.as_csv(["a"], [{"a": "x\r=1+1"}]) == 'a\r\n"x\r=1+1"\r\n'


def test_an_evaluation_is_numbers_beside_the_names_of_its_files() -> None:
    evaluation = read_evaluation(embedded.SAVED_EVALUATION)
    head, original, *others = cells(tables.as_csv(evaluation))
    assert head == [
        *("File", "Top-1", "Top-1 low", "Top-1 high", "Change, points", "Change low", "Change high"),
        *("Other answers", "Won", "Lost", "Top-5", "Calibration error", "Pictures/s"),
    ]
    assert [line[0] for line in (original, *others)] == [FORMATS[each.subject].title for each in evaluation.results]
    assert original[4:10] == [""] * 6
    for line, result in zip(others, evaluation.results[1:], strict=True):
        change = result.change
        assert change
        assert [float(cell) for cell in line[4:7]] == [100 * value for value in (change.top1, *change.interval)]
        assert [int(cell) for cell in line[7:10]] == [change.flipped, change.gained, change.lost]
        assert all(float(cell) >= 0 for cell in (*line[1:4], *line[10:]))
