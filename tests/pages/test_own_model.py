"""A visitor's own model on the pages: brought, described, corrected, removed, and refused with a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

from deploy_core import settings
from deploy_core.models.own.bring import correct
from deploy_core.models.own.corrections import Corrections
from pages.state import services
from tests.own_model import LABELS, state
from tests.pages.harness import PAGES, open_page, texts
from tests.pages.test_classify import EVIL, NAMES, sample, upload

pytestmark = pytest.mark.usefixtures("one_home")


def bring(app: AppTest, name: str, data: bytes, labels: bytes | None = None) -> AppTest:
    app.button(key="bring").click().run()
    app.file_uploader(key="own_checkpoint").upload(name, data, "application/octet-stream")
    if labels:
        app.file_uploader(key="own_labels").upload("labels.txt", labels, "text/plain")
    return app.button(key="own_load").click().run()


def test_a_model_of_ones_own_answers_with_its_labels_and_is_ones_own() -> None:
    app = bring(open_page(), "My pets.safetensors", save(state()), "\n".join(LABELS).encode())
    assert not app.exception
    assert not app.error
    assert app.metric[0].value == LABELS[1]
    assert "My pets (yours)" in app.selectbox(key="model").options
    assert "64 wide, 2 deep, 1 heads; 32 x 32 pixels in patches of 8; 3 classes" in texts(app).replace("\\", "")
    assert app.query_params["model"] == "own"
    assert len(open_page().selectbox(key="model").options) == len(app.selectbox(key="model").options) - 1
    app.switch_page(PAGES["build"]).run()
    assert app.button(key="build").label.endswith("of My pets")
    visitor = app.session_state["visitor"]
    assert re.fullmatch("[0-9a-f]{32}", visitor)
    app.switch_page(PAGES["classify"]).run()
    assert app.slider(key="top").value == 3
    app.button(key="own_remove").click().run()
    assert app.selectbox(key="model").value == "demo"
    assert app.slider(key="top").value == 5
    assert "top" not in app.query_params
    assert not services.visitors().models(visitor)


def test_what_was_read_can_be_corrected() -> None:
    app = bring(open_page(), "pets.safetensors", save(state()), "\n".join(LABELS).encode())
    app.button(key="own_correct").click().run()
    size = next(field for field in app.number_input if field.label.startswith("Input"))
    size.set_value(64).run()
    next(field for field in app.selectbox if field.label.startswith("Pictures")).set_value("squash").run()
    next(button for button in app.button if button.label == "Apply").click().run()
    assert not app.exception
    assert not app.error
    assert "64 x 64 pixels, pictures squashed to that, in patches of 8" in texts(app)
    assert app.metric[0].value == LABELS[1]
    app.button(key="own_correct").click().run()
    next(field for field in app.number_input if "heads" in field.label).set_value(7).run()
    next(button for button in app.button if button.label == "Apply").click().run()
    assert any("cannot be divided by 7 heads" in error.value for error in app.error)


def test_after_a_correction_nothing_is_shown_of_the_answers_before(monkeypatch: pytest.MonkeyPatch) -> None:
    app = bring(open_page(), "pets.safetensors", save(state()), "\n".join(LABELS).encode())
    upload(app, *((name, sample(name)) for name in NAMES[:2]))
    assert set(app.dataframe[0].value["Answer"]) == {LABELS[1]}
    spec = services.visitors().models(app.session_state["visitor"])[0]
    correct(Path(spec.reference), settings.load(), Corrections(labels=("eins", "zwei", "drei"), size=64))
    app.run()
    assert set(app.dataframe[0].value["Answer"]) == {"zwei"}
    app.button_group(key="origin").set_value("Sample").run()
    assert len(app.session_state["answered"].attention) == 8
    correct(Path(spec.reference), settings.load(), Corrections(size=32))
    app.run()
    assert len(app.session_state["answered"].attention) == 4
    assert "import pets.safetensors --labels labels.txt" in app.code[0].value
    assert "--size 32" in app.code[0].value
    assert "'--normalization=ImageNet'\"'\"'s mean and deviation'" in app.code[0].value


def test_a_model_that_was_deleted_gives_way_to_the_usual_one() -> None:
    app = bring(open_page(), "pets.safetensors", save(state()))
    services.visitors()._end(app.session_state["visitor"])
    app.run()
    assert not app.exception
    assert app.selectbox(key="model").value == "demo"
    assert "was deleted" in app.warning[0].value
    assert "DeiT" in app.warning[0].value


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("odd.safetensors", save({"head.bias": torch.zeros(3)}), "is no plain Vision Transformer"),
        ("cut.safetensors", save(state())[:5000], "damaged or not a checkpoint"),
        ("huge.safetensors", (10 * 2**30).to_bytes(8, "little") + b"{}", "damaged or not a checkpoint"),
        ("evil.pth", EVIL, "runs code"),
    ],
)
def test_a_bad_checkpoint_is_a_sentence_and_changes_nothing(name: str, data: bytes, words: str) -> None:
    app = bring(open_page(), name, data)
    assert not app.exception
    assert any(words in error.value.replace("\\", "") for error in app.error)
    app.run()
    assert app.selectbox(key="model").value == "demo"
    assert app.metric
    assert not list(services.visitors().folder(app.session_state["visitor"]).glob("**/*"))


def test_labels_that_do_not_match_in_number_are_told() -> None:
    app = bring(open_page(), "pets.safetensors", save(state()), b"one\ntwo\n")
    assert any("There are 2 labels" in error.value for error in app.error)
