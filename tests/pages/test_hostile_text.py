"""Names that visitors and strangers give to things: every page shows them literally and never as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

from deploy_core import documents, embedded
from deploy_core.profile.device.report import parse
from deploy_core.profile.record.record import Unmeasured
from deploy_core.profile.record.saved import read_record
from pages.state import services
from tests.core.profile.test_report import DOCUMENT
from tests.own_model import state
from tests.pages.harness import PAGES, SHELL, finished, open_page
from tests.pages.test_classify import sample, upload
from tests.pages.test_own_model import bring
from tests.pages.test_pages import packed, picture

pytestmark = pytest.mark.usefixtures("one_home")
# A file's name holds no slash, and a title has 60 characters.
NAME = "**bold** [x](www.evil.test) :red[boo] <b> $x$ :cat:"
TEXT = f"{NAME} ![i](http://evil.test/i.png)"
MARKUP = re.compile(r"\*\*bold|\[x\]\(|:red\[|<b>|\$x\$|:cat:|www\.evil|http://evil|!\[i\]")
# What the browser side of Streamlit draws or uses literally.
AS_IT_IS = {
    "Selectbox.options",
    "Selectbox.raw_value",
    "Code.code_text",
    "VegaLiteChart.spec",
    "LinkButton.url",
    "BidiComponent.json",
    "MixedData.json",
    "TextInput.value",
    "Image.alt",
}


def drawn(message: Any) -> Iterator[tuple[str, str]]:
    """Every text of an element, with the name of its field."""
    for field, value in message.ListFields():
        name = f"{message.DESCRIPTOR.name}.{field.name}"
        for one in value if isinstance(value, list) or hasattr(value, "append") else [value]:
            if isinstance(one, str):
                yield name, one
            elif hasattr(one, "ListFields"):
                yield from drawn(one)


def require_plain(app: AppTest) -> None:
    assert not app.exception
    texts = [found for node in app._tree if getattr(node, "proto", None) for found in drawn(node.proto)]
    assert any(r"\*\*bold\*\*" in text for _, text in texts)
    assert [found for found in texts if found[0] not in AS_IT_IS and MARKUP.search(found[1])] == []


@pytest.fixture
def own() -> AppTest:
    labels = "\n".join((f"one {TEXT}", f"two {TEXT}", NAME))
    return bring(open_page(), f"{NAME}.safetensors", save(state()), labels.encode())


def test_labels_a_title_and_names_of_pictures_on_classify(own: AppTest) -> None:
    require_plain(own)
    assert own.metric[0].value.startswith(r"two \*\*bold\*\* \[x\]")
    upload(own, (f"{NAME}.png", sample("chelsea.png")))
    require_plain(own)
    upload(own, (f"{NAME}.png", sample("chelsea.png")), ("b.png", sample("coffee.png")), (f"{NAME} c.png", b"none"))
    require_plain(own)
    own.button(key="own_correct").click().run()
    require_plain(own)


def test_a_title_on_every_page(own: AppTest) -> None:
    for page in ("build", "evaluate", "profile", "device"):
        require_plain(own.switch_page(PAGES[page]).run())


def test_built_files_and_their_answers(own: AppTest) -> None:
    own.switch_page(PAGES["build"]).run()
    own.button_group(key="formats").set_value(["scripted"]).run()
    own.button(key="build").click().run()
    require_plain(finished(own))
    assert len(own.dataframe[0].value) == 2
    own.switch_page(PAGES["classify"]).run()
    own.button(key="ask_files").click().run()
    require_plain(own)


def test_names_in_an_archive(own: AppTest) -> None:
    own.switch_page(PAGES["evaluate"]).run()
    pictures = {f"{NAME}/{shade} {NAME}.png": picture(shade) for shade in range(0, 250, 50)}
    archive = packed(pictures | {f"{NAME}/broken {NAME}.png": b"none"})
    own.file_uploader[0].upload(f"{NAME}.zip", archive, "application/zip").run()
    require_plain(own)
    own.button_group(key="evaluated_formats").set_value(["scripted"]).run()
    own.button(key="evaluate").click().run()
    require_plain(finished(own))
    assert list(own.dataframe[0].value["File"]) == ["Original", "Scripted"]


def test_labelled_pictures_that_the_host_offers() -> None:
    folder = services.store().root.parent / "datasets" / NAME / "tabby"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "1.png")
    require_plain(open_page("evaluate"))


def test_a_record_from_elsewhere() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    host = replace(saved.host, cpu=TEXT, system=TEXT, instructions=(TEXT,), versions={TEXT: TEXT})
    rows = tuple(
        replace(
            row,
            run_engine=TEXT,
            file=TEXT,
            undelegated=(TEXT,),
            operators=tuple(replace(operator, name=TEXT, group=TEXT) for operator in row.operators),
        )
        for row in saved.rows[:-1]
    )
    missing = (Unmeasured(saved.rows[-1].format, TEXT, None),)
    forged = replace(saved, host=host, rows=rows, unmeasured=missing, weights=TEXT, optimize=TEXT)
    app = open_page("profile")
    app.file_uploader(key="run_file").upload(f"{NAME}.json", encoded(forged), "application/json").run()
    assert not app.error
    require_plain(app)
    other = replace(forged, model=TEXT)
    app.query_params["run"] = services.runs().take_in(encoded(other))
    require_plain(app.run())


def test_a_report_from_elsewhere() -> None:
    device = DOCUMENT["device"] | {"browser": TEXT, "system": TEXT, "model": TEXT, "gpu": TEXT}
    failures = [DOCUMENT["failures"][0] | {"reason": TEXT}]
    document: dict[str, Any] = DOCUMENT | {"device": device, "runtime": TEXT, "failures": failures}
    for weights in (TEXT, "pretrained"):
        for page in ("profile", "device"):
            app = open_page(page)
            key = services.reports().keep(encoded(parse(json.dumps(document | {"weights": weights}).encode())))
            app.query_params["report"] = key
            require_plain(app.run())
    app = open_page("profile")
    data = json.dumps(document | {"model": TEXT, "weights": TEXT}).encode()
    app.file_uploader(key="run_file").upload(f"{NAME}.json", data, "application/json").run()
    require_plain(app)


def test_an_address_that_says_it() -> None:
    app = AppTest.from_file(str(SHELL), default_timeout=60)
    for name in ("model", "weights", "sample", "from", "top", "url", "run", "report"):
        app.query_params[name] = TEXT
    require_plain(app.run())
    for page in ("build", "evaluate", "profile", "device"):
        app.query_params["run"] = app.query_params["report"] = TEXT
        app.switch_page(PAGES[page]).run()
        assert not app.exception


def encoded(document: object) -> bytes:
    return json.dumps(documents.plain(document)).encode()
