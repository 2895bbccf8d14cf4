"""The pages through Streamlit's own test harness: every page, every state, no exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
import torch
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

from deploy_core import models
from deploy_core.models import MODELS
from deploy_core.settings import Settings

SHELL = Path(__file__).parents[2] / "pages" / "_shell.py"
PAGES = {"classify": "classify_picture.py", "build": "build_files.py", "profile": "profile_files.py"}
pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    st.cache_resource.clear()


def open_page(name: str = "classify") -> AppTest:
    app = AppTest.from_file(str(SHELL), default_timeout=60).run()
    return app if name == "classify" else app.switch_page(PAGES[name]).run()


def texts(app: AppTest) -> str:
    elements = [*app.error, *app.warning, *app.info, *app.markdown, *app.caption, *app.title]
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("name", ["classify", "build", "profile"])
def test_each_page_opens_without_an_error(name: str) -> None:
    app = open_page(name)
    assert not app.exception
    assert not app.error
    assert app.title


def test_a_first_visit_finds_a_photograph_already_classified(answer: Callable[[str], str]) -> None:
    app = open_page()
    assert app.metric[0].value == answer("rocket.jpg")
    assert "Where the time went" in texts(app)


def test_random_weights_say_that_the_answer_means_nothing() -> None:
    app = open_page()
    app.sidebar.button_group(key="weights").set_value("random").run()
    assert "this answer means nothing" in texts(app)


def test_the_picker_says_what_a_model_knows_and_what_it_costs() -> None:
    app = open_page()
    assert "10 everyday classes" in texts(app)
    app.button(key="tutorial").click().run()
    assert app.sidebar.selectbox[0].value == "deit_base_patch16_224"
    assert "ImageNet's 1000 classes" in texts(app)
    assert "346 MB" in texts(app)


def test_the_picked_model_stays_on_every_page() -> None:
    app = open_page()
    app.sidebar.selectbox[0].set_value("deit_tiny_patch16_224").run()
    app.switch_page(PAGES["build"]).run()
    assert app.sidebar.selectbox[0].value == "deit_tiny_patch16_224"
    assert "DeiT-Tiny" in app.button(key="build").label


def test_a_checkpoint_of_ones_own_answers_and_one_that_does_not_fit_is_told(tmp_path: Path) -> None:
    state = models.load("demo", "pretrained", Settings()).module.state_dict()
    never = state["head.bias"] - 1000 * torch.eye(10)[9]
    ships = {**state, "head.bias": never + 1000 * torch.eye(10)[8], "head_dist.bias": state["head_dist.bias"]}
    app = open_page()
    app.sidebar.button_group(key="weights").set_value("checkpoint").run()
    app.sidebar.file_uploader[0].upload("mine.safetensors", save(ships), "application/octet-stream").run()
    assert not app.error
    assert app.metric[0].value == "ship"
    odd = save({"head.bias": torch.zeros(3)})
    app.sidebar.file_uploader[0].upload("odd.safetensors", odd, "application/octet-stream").run()
    assert "does not fit demo" in app.error[0].value


def test_the_default_model_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_DEFAULT_MODEL", "deit_small_patch16_224")
    assert open_page().sidebar.selectbox[0].value == "deit_small_patch16_224"


def test_a_wrong_setting_is_a_sentence_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_DEFAULT_MODEL", "vgg")
    app = open_page()
    assert not app.exception
    assert "no model 'vgg'" in app.error[0].value


def test_a_url_that_points_inside_is_refused_and_the_page_goes_on() -> None:
    app = open_page()
    app.button_group(key="origin").set_value("URL").run()
    app.text_input[0].set_value("http://127.0.0.1/cat.jpg")
    app.button(key="fetch").click().run()
    assert "private network" in app.error[0].value
    app.button_group(key="origin").set_value("Sample").run()
    assert not app.error
    assert app.metric


def test_a_picture_that_is_none_is_refused_and_the_page_goes_on() -> None:
    app = open_page()
    app.button_group(key="origin").set_value("Upload").run()
    app.file_uploader[0].upload("notes.png", b"not a picture", "image/png").run()
    assert "notes" in app.error[0].value or "picture" in app.error[0].value
    assert not app.exception


def test_the_build_page_builds_and_offers_each_file() -> None:
    app = open_page("build")
    app.button(key="build").click().run()
    app = finished(app)
    frame = app.dataframe[0].value
    assert list(frame["Format"])[0] == "Original"
    assert set(frame["Top-1"]) == {"same"}
    assert len(frame) == 5


def test_without_a_format_there_is_nothing_to_build() -> None:
    app = open_page("build")
    app.button_group(key="formats").set_value([]).run()
    assert not app.exception
    assert app.button(key="build").disabled


def test_profile_shows_the_saved_run_and_then_one_of_this_machine() -> None:
    app = open_page("profile")
    assert "A saved run" in texts(app)
    app.button(key="profile").click().run()
    app = finished(app)
    assert "Measured on this server" in texts(app)
    assert list(app.dataframe[0].value["Model"])[0] == "Original"


@pytest.mark.parametrize("name", [name for name in MODELS if name != "demo"])
def test_profile_of_a_model_that_was_never_measured_says_so(name: str) -> None:
    app = open_page("profile")
    app.sidebar.selectbox[0].set_value(name).run()
    assert not app.exception
    assert "has not been measured here yet" in texts(app)


def finished(app: AppTest, seconds: float = 90) -> AppTest:
    """Runs the page again until no job is under way, as a visitor's browser does."""
    deadline = time.monotonic() + seconds
    while any(button.label == "Cancel" for button in app.button):
        assert time.monotonic() < deadline
        time.sleep(0.3)
        app.run()
    return app
