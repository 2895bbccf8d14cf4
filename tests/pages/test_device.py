"""The page "On your device" as far as the server draws it; the browser's part is in tests/browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pages import _client
from tests.core.test_report import DOCUMENT
from tests.pages.harness import finished, open_page, texts

pytestmark = pytest.mark.usefixtures("home")


def test_the_embedded_model_is_ready_at_once_and_float32_one_click_away() -> None:
    app = open_page("device")
    assert not app.exception
    assert app.button(key="build").label == "Build ONNX, to time that as well"
    assert "chelsea.png" in texts(app)


def test_another_model_is_built_first() -> None:
    app = open_page("device")
    app.sidebar.button_group(key="weights").set_value("random").run()
    assert not app.exception
    assert app.button(key="build").label == "Build ONNX and ONNX, int8"
    app.button(key="build").click().run()
    app = finished(app)
    assert not app.error
    assert not [button for button in app.button if button.key == "build"]


def test_without_the_runtime_the_page_says_so_and_the_others_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_client, "RUNTIME", tmp_path / "package.json")
    app = open_page("device")
    assert not app.exception
    assert "`make run` fetches it where npm is installed" in texts(app)
    assert not open_page("profile").exception


def test_a_report_is_brought_to_the_profile_and_marked() -> None:
    app = open_page("profile")
    app.file_uploader(key="run_file").upload("phone.json", json.dumps(DOCUMENT).encode(), "application/json").run()
    assert not app.exception
    assert "Reported by a visitor, and not checked here: Chrome 140 on Pixel 9, 8 cores" in texts(app)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (DOCUMENT | {"rows": []}, "do not fit together"),
        (DOCUMENT | {"more": "x" * 600_000}, "too large for the report of a device"),
        (DOCUMENT | {"version": 9}, "not of version 1"),
    ],
)
def test_a_forged_report_is_a_sentence(document: dict[str, object], words: str) -> None:
    app = open_page("profile")
    app.file_uploader(key="run_file").upload("phone.json", json.dumps(document).encode(), "application/json").run()
    assert not app.exception
    assert words in app.error[0].value


def test_text_in_a_report_is_no_markup() -> None:
    device = DOCUMENT["device"] | {"model": "<img src=x onerror=alert(1)> **bold** [link](https://pictures.invalid)"}
    app = open_page("profile")
    data = json.dumps(DOCUMENT | {"device": device}).encode()
    app.file_uploader(key="run_file").upload("phone.json", data, "application/json").run()
    assert not app.exception
    assert "\\*\\*bold\\*\\* \\[link\\]" in texts(app)


def test_a_link_to_a_report_that_is_gone_is_a_sentence() -> None:
    app = open_page("device")
    app.query_params["report"] = "0" * 16
    app.run()
    assert not app.exception
    assert "The report of this link is of another model, or no longer here." in texts(app)
