"""The CSV files that pages offer."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import streamlit as st

from deploy_core.evaluation import tables
from tests.pages.harness import open_page
from tests.pages.test_classify import sample, upload

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The data of the download buttons on the newest page, by their labels."""
    found: dict[str, str] = {}
    monkeypatch.setattr(st, "download_button", lambda label, data, *_, **__: found.update({label: data}))
    return found


def lines(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_picture_that_is_called_as_a_formula_is_none(exported: dict[str, str]) -> None:
    name = "=HYPERLINK(1).png"
    app = upload(open_page(), (name, sample("guitar.jpg")), ("broken.png", b"none"))
    first, second = lines(exported["CSV"])
    shown = app.dataframe[0].value
    assert (shown["Picture"][0], first["Picture"]) == (name, f"'{name}")
    assert (int(first["Index"]), float(first["Confidence"])) == (shown["Index"][0], shown["Confidence"][0])
    assert (second["Picture"], second["Index"], second["Time"]) == ("broken.png", "", "")


def test_the_changes_of_an_evaluation_are_numbers(exported: dict[str, str]) -> None:
    open_page("evaluate")
    original, *others = lines(exported["Table as CSV"])
    assert tuple(original) == tables.CSV_FIELDS
    assert original["Change, points"] == ""
    assert all(float(line["Change low"]) <= float(line["Change, points"]) for line in others)
