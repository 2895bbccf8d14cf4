"""The Classify page: pictures, answers, every file's answer, own models, and its state in the address."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

import streamlit_app
from deploy_core import embedded
from deploy_core.formats import FORMATS
from deploy_core.models import catalogue, load
from deploy_core.processes.job import FINISHED, job_name
from deploy_core.settings import Settings
from deploy_core.storage.visitors import new_name
from deploy_core.worker.tasks import Download
from pages.pictures import batch, sources
from pages.state import services
from tests.pages.harness import PAGES, SHELL, open_page, texts

pytestmark = pytest.mark.usefixtures("home")
NAMES = ("chelsea.png", "guitar.jpg", "coffee.png")
EVIL = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03."


def opened(address: dict[str, str]) -> AppTest:
    app = AppTest.from_file(str(SHELL), default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def sample(name: str) -> bytes:
    return (embedded.SAMPLES / name).read_bytes()


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.button_group(key="origin").set_value("Upload").run()
    app.file_uploader(key="uploads").set_value([(name, data, "image/png") for name, data in files]).run()
    return app


def test_the_address_bar_opens_the_same_view(answer: Callable[[str], str]) -> None:
    app = open_page()
    app.button_group(key="sample").set_value("Guitar").run()
    app.slider(key="top").set_value(3).run()
    address = dict(app.query_params)
    assert address == {"model": "demo", "sample": "Guitar", "top": "3"}
    again = opened(address)
    assert again.metric[0].value == answer("guitar.jpg")
    assert again.slider(key="top").value == 3
    random = opened({"model": "deit_tiny_patch16_224", "weights": "random", "sample": "Coffee"})
    assert random.selectbox(key="model").value == "deit_tiny_patch16_224"
    assert "weights are random" in texts(random)


@pytest.mark.parametrize(
    "address",
    [
        {"model": "vgg"},
        {"model": "/etc/passwd.safetensors"},
        {"weights": "/etc/passwd"},
        {"sample": "Dragon", "top": "many"},
        {"top": "-7"},
        {"top": "999999999999"},
        {"from": "nowhere"},
    ],
)
def test_a_forged_address_opens_the_usual_view(address: dict[str, str]) -> None:
    app = opened(address)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="model").value == "demo"
    assert app.metric
    told = [address.get("model", "") in warning.value.replace("\\", "") for warning in app.warning]
    assert told == [True] * ("model" in address)


def test_a_link_to_a_model_that_is_not_offered_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_MODELS", "demo")
    app = opened({"model": "deit_tiny_patch16_224"})
    assert "DeiT-Tiny is not offered here.** This page shows DeiT Deploy Tiny" in app.warning[0].value
    assert app.selectbox(key="model").value == "demo"
    monkeypatch.setenv("DEIT_DEPLOY_MODELS", "deit_tiny_patch16_224")
    assert not open_page().warning


def test_an_upload_is_still_there_after_another_page(answer: Callable[[str], str]) -> None:
    app = upload(open_page(), ("guitar.png", sample("guitar.jpg")))
    app.switch_page(PAGES["build"]).run()
    app.switch_page(PAGES["classify"]).run()
    assert app.metric[0].value == answer("guitar.jpg")
    app.button(key="forget_pictures").click().run()
    assert not app.metric


def test_a_link_with_a_picture_fetches_it_once_and_refuses_what_points_inside() -> None:
    app = opened({"url": "http://127.0.0.1/cat.jpg", "model": "demo"})
    assert app.button_group(key="origin").value == "URL"
    assert "private network" in app.error[0].value
    app.run()
    assert not app.error
    assert "url" not in app.query_params


def test_below_the_threshold_the_page_says_that_the_model_is_not_sure() -> None:
    app = open_page()
    assert not app.warning
    app.slider(key="threshold").set_value(100).run()
    assert "Not sure" in app.warning[0].value


def test_the_opacity_stays_while_another_page_is_looked_at() -> None:
    app = open_page()
    app.slider(key="opacity").set_value(20).run()
    app.switch_page(PAGES["build"]).run()
    app.switch_page(PAGES["classify"]).run()
    assert app.slider(key="opacity").value == 20


def test_the_thinnest_strip_is_looked_at_as_any_other() -> None:
    thin = BytesIO()
    Image.new("RGB", (4000, 2), "teal").save(thin, "PNG")
    app = upload(open_page(), ("thin.png", thin.getvalue()))
    assert not app.exception
    assert "The crop cuts 100 % of this picture off." in texts(app)


@pytest.mark.parametrize(
    ("crop_mode", "given", "warning"),
    [
        ("center", "the model is given the middle 51 % of it", "The crop cuts 87 % of this picture off."),
        ("squash", "the model is given all of it, squashed into a square", "One side of this picture is 6.0 times"),
    ],
)
def test_what_is_given_is_shown_and_a_strip_is_warned_of(
    crop_mode: str, given: str, warning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = load.find("demo")
    usual = demo.preprocessing
    how = replace(usual, crop_mode=crop_mode, resize=usual.crop) if crop_mode == "squash" else usual
    monkeypatch.setitem(catalogue.MODELS, "demo", replace(demo, preprocessing=how))
    app = opened({"sample": "Cat"})
    assert given in texts(app)
    assert warning not in texts(app)
    wide = BytesIO()
    Image.linear_gradient("L").resize((900, 150)).save(wide, "PNG")
    upload(app, ("wide.png", wide.getvalue()))
    assert warning in texts(app)


def test_several_pictures_become_a_table_and_a_broken_one_is_a_row(answer: Callable[[str], str]) -> None:
    app = upload(open_page(), *((name, sample(name)) for name in NAMES), ("broken.png", b"no picture"))
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["Picture"]) == [*NAMES, "broken.png"]
    assert list(table["Answer"])[:3] == [answer(name) for name in NAMES]
    assert "not a picture" in list(table["Answer"])[3]
    assert table["Index"].dtype == "Int64"
    assert all(name in texts(app).replace("\\", "") for name in (*NAMES, "broken.png"))
    app.button_group(key="origin").set_value("Sample").run()
    assert app.metric


def test_a_batch_can_be_stopped_and_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    inference = services.inference()
    classify = inference.classify
    given = [sources.Picture(sample(name), name, name).digest for name in NAMES]
    asked: list[str] = []

    def stop_after_one(*arguments: object, **others: object) -> object:
        """As if the visitor pressed Cancel while the second picture is asked about."""
        if asked:
            batch._stop(given)
            st.rerun()
        asked.append("one")
        return classify(*arguments, **others)  # type: ignore[arg-type]

    app = open_page()
    monkeypatch.setattr(inference, "classify", stop_after_one)
    upload(app, *((name, sample(name)) for name in NAMES))
    monkeypatch.undo()
    assert "Stopped after 1 of 3 pictures." in texts(app)
    assert len(app.dataframe[0].value) == 1
    app.button(key="go_on").click().run()
    assert len(app.dataframe[0].value) == 3
    assert "Stopped after" not in texts(app)


def test_every_file_is_asked_about_the_picture(home: Path, two_formats: Path) -> None:
    # A process that another test has started looks for files in that test's home.
    services.inference().close()
    services.inference.clear()
    app = open_page()
    assert app.button(key="build_files")
    assert not app.dataframe
    shutil.copytree(two_formats, home / "artifacts", dirs_exist_ok=True)
    app.run()
    app.button(key="ask_files").click().run()
    assert not [error.value for error in app.error]
    table = app.dataframe[0].value
    assert list(table["File"]) == [FORMATS[key].title for key in ("original", "scripted", "quantized")]
    assert set(table["Matches the original"]) == {"yes"}
    assert set(table["Predicted class"]) == {app.metric[0].value}
    assert table["Cosine"][0] == pytest.approx(1)
    assert 0.9 < table["Cosine"][2] < 0.999999
    assert "All 3 match the original's answer." in texts(app)
    app.button_group(key="sample").set_value("Guitar").run()
    assert not app.dataframe


def test_what_the_app_before_knew_of_its_visitors_is_gone_before_anybody_comes(limits: Settings) -> None:
    left = limits.home / "artifacts" / f"{new_name()}-lite-0123"
    left.mkdir(parents=True)

    async def start() -> None:
        async with streamlit_app.lifespan(streamlit_app.app):
            assert not left.exists()

    asyncio.run(start())


def test_what_a_visitor_waits_for_ends_with_the_visitor(limits: Settings) -> None:
    visitor = new_name()
    services.jobs().submit(task := Download(f"/nowhere/{visitor}/pets.safetensors"))
    services.visitors()._end(visitor)
    job = services.jobs().look(job_name(task))
    assert job
    assert job.state in FINISHED


def test_the_code_box_says_what_is_shown() -> None:
    app = opened({"sample": "Coffee", "top": "2"})
    command, snippet = (block.value for block in app.code)
    assert command == "python -m deploy_core classify deploy_core/embedded/samples/coffee.png --model demo --top 2"
    printed: list[str] = []
    exec(snippet, {"print": printed.append})  # noqa: S102
    assert app.metric[0].value in printed[0]
    assert len(printed) == 2


def test_what_goes_wrong_with_a_picture_is_told_once() -> None:
    app = upload(open_page(), ("broken.png", b"no picture"))
    assert len(app.error) == 1
    app.run()
    assert len(app.error) == 1
