"""The address bar: going back undoes what the visitor changed, and a click that is faster than the network does not."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.state import address
from tests.pages.harness import open_page


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(address, "LATE_SECONDS", 0.0)
    return open_page()


def test_going_back_undoes_a_change_of_model_and_of_weights(app: AppTest) -> None:
    app.button_group(key="weights").set_value("random").run()
    app.selectbox(key="model").set_value("deit_tiny_patch16_224").run()
    app.query_params["model"] = "demo"
    app.run()
    assert (app.selectbox(key="model").value, app.button_group(key="weights").value) == ("demo", "random")
    del app.query_params["weights"]
    app.run()
    assert app.button_group(key="weights").value == "pretrained"


def test_going_back_from_an_upload_shows_the_sample(app: AppTest) -> None:
    app.button_group(key="sample").set_value("Guitar").run()
    app.button_group(key="origin").set_value("Upload").run()
    assert app.query_params["from"] == "upload"
    app.query_params.clear()
    app.query_params["model"], app.query_params["sample"] = "demo", "Guitar"
    app.run()
    assert (app.button_group(key="origin").value, app.metric[0].value) == ("Sample", "acoustic guitar")


def test_an_address_that_comes_late_is_no_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "LATE_SECONDS", 60.0)
    app = open_page()
    app.button_group(key="sample").set_value("Guitar").run()
    app.query_params["sample"] = "Zebra"
    app.button_group(key="weights").set_value("random").run()
    assert app.button_group(key="sample").value == "Guitar"


def test_another_page_keeps_what_was_chosen(app: AppTest) -> None:
    app.button_group(key="sample").set_value("Guitar").run()
    app.query_params.clear()
    app.switch_page("build_files.py").run()
    app.query_params.clear()
    app.switch_page("classify_picture.py").run()
    assert app.button_group(key="sample").value == "Guitar"
