"""A file that is built here and not run here, on the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy_core.formats import FORMATS
from tests.pages.harness import open_page, texts
from tests.whole_build import RUN_HERE, WholeBuild

NOT_HERE = {key for key in FORMATS if key not in RUN_HERE}


@pytest.fixture(autouse=True)
def built(home: Path, whole_build: WholeBuild) -> None:
    whole_build.put_into(home, ("original", "coreml"))


def test_build_says_what_was_read_back() -> None:
    app = open_page("build")
    app.button_group(key="formats").set_value(["coreml"]).run()
    assert not app.exception
    frame = app.dataframe[0].value
    assert list(frame["Format"]) == ["Original", "Core ML"]
    assert list(frame["Verdict"]) == ["same answers", "built here, not run here"]
    text = texts(app)
    assert "**Built here, not run here.**" in text
    assert "155 tensors with 5,910,800 weights were compared with the original's" in text
    assert "Core ML itself did not run" in text


def test_no_other_page_offers_to_run_it() -> None:
    evaluate = open_page("evaluate")
    assert not NOT_HERE & set(evaluate.button_group(key="evaluated_formats").value or [])
    classify = open_page()
    assert not any(button.key == "ask_files" for button in classify.button)
    profile = open_page("profile")
    assert profile.button(key="profile").label == "Build and profile on this server"
    assert not evaluate.exception
    assert not classify.exception
    assert not profile.exception
