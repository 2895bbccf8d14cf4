"""The page "On your device" as far as the server draws it; the browser's part is in tests/browser."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deploy_core import settings
from deploy_core.formats import FORMATS, format
from deploy_core.profile.device.reports import Reports
from pages.device import client
from pages.state import services
from tests.core.profile.test_report import DOCUMENT, ROW
from tests.pages.harness import finished, open_page, texts

pytestmark = pytest.mark.usefixtures("home")


def test_the_embedded_model_is_ready_at_once_and_float32_one_click_away() -> None:
    app = open_page("device")
    assert not app.exception
    assert app.button(key="build").label == "Build more ONNX and LiteRT files, to time them as well"
    assert "The picture: zebra.jpg. Choose another on Classify." in texts(app)


def test_the_picture_travels_only_when_the_device_asks_for_it() -> None:
    # The other component brings a visitor's own model back after a reload.
    component = max(open_page("device").get("bidi_component"), key=lambda one: int(one.proto.ByteSize()))
    # The names of 1000 classes take 20,000 bytes.
    assert component.proto.ByteSize() < 35_000


def test_another_model_is_built_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_FORMATS", "onnx,onnx_int8")
    app = open_page("device")
    app.button_group(key="weights").set_value("random").run()
    assert not app.exception
    assert app.button(key="build").label == "Build ONNX files"
    app.button(key="build").click().run()
    app = finished(app)
    assert not app.error
    assert not [button for button in app.button if button.key == "build"]


def test_without_the_converter_the_page_says_how_to_get_it_and_offers_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {name: number for row in FORMATS.values() for name, number in row.packages.items()} | {"litert-torch": None}
    monkeypatch.setattr(format, "_version", found.get)
    app = open_page("device")
    assert not app.exception
    assert app.button(key="build").label == "Build more ONNX files, to time them as well"
    folded = next(one for one in app.expander if one.label == "LiteRT files cannot be built on this server")
    told = folded.markdown[0].value.replace("\\", "")
    assert "Install what it needs: pip install --no-deps -r requirements-litert.txt" in told


def test_without_the_runtime_the_page_says_so_and_the_others_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "FOLDER", tmp_path)
    app = open_page("device")
    assert not app.exception
    assert "the browser's runtimes are not on it" in texts(app)
    folded = next(one for one in app.expander if one.label == "For whoever runs this server")
    assert "The app fetches the runtimes when it starts, where npm is installed" in folded.markdown[0].value
    assert not open_page("profile").exception


def test_a_report_is_brought_to_the_profile_and_marked() -> None:
    app = open_page("profile")
    app.file_uploader(key="run_file").upload("phone.json", json.dumps(DOCUMENT).encode(), "application/json").run()
    assert not app.exception
    assert "Reported by a visitor, and not checked here: Chrome 140 on Pixel 9, 8 cores" in texts(app)


def test_half_a_runtime_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    names = [served.replace("*", "x") for served in client.SERVED if "@noble" not in served]
    for name in (*names, *client.RUNTIMES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"name": Path(name).parent.name, "version": "1.30.0"}))
    monkeypatch.setattr(client, "FOLDER", tmp_path)
    assert client.runtime() is None
    (modules / "@noble" / "hashes").mkdir(parents=True)
    (modules / "@noble" / "hashes" / "sha2.js").touch()
    assert client.runtime() == "onnxruntime-web 1.30.0, core 1.30.0"
    (tmp_path / client.RUNTIMES[-1]).write_text('{"name"')
    assert client.runtime() is None


def test_a_report_of_another_model_says_which_to_pick() -> None:
    app = open_page("profile")
    data = json.dumps(DOCUMENT | {"model": "deit_tiny_patch16_224"}).encode()
    app.file_uploader(key="run_file").upload("phone.json", data, "application/json").run()
    assert not app.exception
    assert "This is a report of DeiT-Tiny, pretrained weights.** Pick that model" in app.error[0].value
    assert "reports" not in app.session_state


def linked(document: dict[str, object], page: str = "device") -> AppTest:
    """A page as its link opens it, with a report that another visitor saved."""
    app = open_page(page)
    app.query_params["report"] = Reports(settings.load()).keep(json.dumps(document).encode())
    return app.run()


def test_a_report_of_other_weights_is_not_drawn_in_the_picture_of_a_run() -> None:
    app = linked(DOCUMENT | {"weights": "random"}, "profile")
    assert not app.exception
    assert "Only reports with pretrained weights, as in this run, are drawn." in texts(app)
    assert "8 GB of memory or more, arm valhall graphics, random weights" in texts(app)


def test_a_file_that_the_servers_run_lacks_is_drawn_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    run = services.shipped_run()
    without = dataclasses.replace(run, rows=tuple(row for row in run.rows if row.format != "onnx_int8"))
    monkeypatch.setattr(services, "shipped_run", lambda: without)
    app = linked(DOCUMENT)
    assert not app.exception
    (chart,) = app.get("vega_lite_chart")
    assert '"type": "log"' in chart.proto.spec
    assert "dashed line" not in texts(app)


def test_a_device_that_answers_otherwise_is_marked() -> None:
    row = ROW | {"compared": ROW["compared"] | {"same_top1": False}}
    app = linked(DOCUMENT | {"rows": [row]})
    assert not app.exception
    assert "ONNX, int8 on WebAssembly, 1 thread answers differently than the server: another class." in texts(app)


def test_a_report_that_an_older_version_believed_breaks_no_page() -> None:
    app = open_page("device")
    key = Reports(settings.load()).keep(json.dumps(DOCUMENT).encode())
    (path,) = settings.load().home.glob(f"reports/{key}.json")
    path.write_text(json.dumps(DOCUMENT | {"rows": [ROW | {"bytes": 10**400}]}))
    app.query_params["report"] = key
    app.run()
    assert not app.exception
    assert not app.error


FORGED: tuple[tuple[dict[str, object], str], ...] = (
    (DOCUMENT | {"rows": [ROW | {"bytes": 10**400}]}, "do not fit together"),
    (DOCUMENT | {"version": 9}, "not of version 1"),
    (DOCUMENT | {"more": "x" * 600_000}, "too large for the report of a device"),
    (DOCUMENT | {"rows": []}, "do not fit together"),
)


def test_a_forged_report_is_a_sentence() -> None:
    app = open_page("profile")
    for document, words in FORGED:
        file = ("phone.json", json.dumps(document).encode(), "application/json")
        app.file_uploader(key="run_file").set_value(file).run()
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
