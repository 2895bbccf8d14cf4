"""A file that is built here and not run here, on the pages."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from deploy_core.formats import FORMATS
from tests.pages.harness import open_page, texts
from tests.whole_build import RUN_HERE, WholeBuild

NOT_HERE = {key for key in FORMATS if key not in RUN_HERE}


def test_build_says_what_was_read_back(home: Path, whole_build: WholeBuild) -> None:
    whole_build.put_into(home, ("original", "coreml"))
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


def test_no_other_page_offers_to_run_it(home: Path) -> None:
    pictures = home / "datasets" / "few" / "tabby"
    pictures.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(pictures / "black.png")
    evaluate = open_page("evaluate")
    offered = set(evaluate.button_group(key="evaluated_formats").value or [])
    assert offered
    assert not NOT_HERE & offered
    profile = open_page("profile")
    profile.button(key="profile").click().run()
    asked = profile.session_state["profiling"].build.formats
    assert not NOT_HERE & set(asked)
    assert not profile.exception
