"""A format that is added to the table in one line appears in the pages' lists, tables and charts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from deploy_core import build, embedded, settings
from deploy_core.formats import FORMATS
from deploy_core.profile.record.saved import read_record
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
from deploy_core.worker.tasks import Abilities
from pages.state import services
from tests.core.formats import toy
from tests.pages.harness import open_page, texts


@pytest.fixture(autouse=True)
def in_the_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "toy", *toy.ROWS)
    # The process that pages ask would not know the toy.
    monkeypatch.setattr(services, "abilities", lambda: Abilities(("qnnpack",), dict.fromkeys(FORMATS)))
    pictures = home / "datasets" / "few" / "tabby"
    pictures.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(pictures / "black.png")


def test_build_offers_it_and_shows_its_file() -> None:
    app = open_page("build")
    assert "toy" in (app.button_group(key="formats").value or [])
    assert "Toy box" in list(app.dataframe[0].value["Format"])
    assert "**Toys**, for a test." in texts(app)
    limits = settings.load()
    request = BuildRequest("demo", "pretrained", ("toy",))
    with open_shelf(Store(limits), request) as shelf:
        build.build(request, shelf, limits)
    app.button_group(key="formats").set_value(["toy"]).run()
    assert not app.exception
    assert list(app.dataframe[0].value["Format"]) == ["Original", "Toy box"]
    assert "A toy: about the bytes of the original." in texts(app)
    assert "**Toy Runtime 1.0** (Android, iOS): `pip install toys`" in texts(app)
    profile = app.switch_page("profile_files.py").run()
    assert profile.button(key="profile").label.startswith("Profile 2 files on this server: about")


def test_evaluate_offers_it() -> None:
    app = open_page("evaluate")
    assert not app.exception
    assert "toy" in (app.button_group(key="evaluated_formats").value or [])


def test_profile_shows_it_in_tables_and_charts() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    original, scripted = saved.rows[:2]
    boxed = replace(
        scripted, format="toy", file="demo_boxed.toy", operators=(), self_cpu_ms=None, delegated_percent=50.0
    )
    run = replace(saved, rows=(original, boxed), measured_at="2026-01-01T00:00:00+00:00")
    app = open_page("profile")
    app.query_params["run"] = services.runs().keep(run)
    app.run()
    assert not app.exception
    assert list(app.dataframe[0].value["File"]) == ["Toy box", "Original"]
    assert "ToyNN computes 50 % of the operators of Toy box" in texts(app)
    assert any("#123456" in str(chart.proto) for chart in app.get("vega_lite_chart"))
