"""The pages through Streamlit's own test harness: every page, every state, no exception."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from deploy_core import documents, embedded, settings
from deploy_core.formats import FORMATS
from deploy_core.models.catalogue import MODELS
from deploy_core.processes.local import WorkerProcess
from deploy_core.profile.record.saved import read_record
from deploy_core.types import Verdict
from pages.charts import theme
from pages.parts.text import escaped
from pages.pictures import sources
from pages.state import services
from tests.pages.harness import PAGES, finished, open_page, texts
from tests.whole_build import RUN_HERE

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize("name", PAGES)
def test_each_page_opens_without_an_error(name: str) -> None:
    app = open_page(name)
    assert not app.exception
    assert not app.error
    assert app.title


def test_a_first_visit_finds_a_photograph_already_classified(answer: Callable[[str], str]) -> None:
    app = open_page()
    assert app.metric[0].value == answer("zebra.jpg") == "zebra"
    text = texts(app)
    # The answer ships with the model, so it took no time here.
    assert "Where the time went" not in text
    assert "The answer is right" in text
    assert "right first time for about half of ImageNet's photographs" in text
    assert "[Roger Hsu](http://www.flickr.com/" in text
    assert "[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/)" in text


def test_a_first_visit_starts_no_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    for question in ("classify", "look"):
        monkeypatch.setattr(services.inference(), question, None)
    app = open_page()
    assert app.metric
    assert not app.error


def finished_steps(app: AppTest) -> set[str]:
    links = [link.proto for link in app.get("page_link")]
    return {link.label.strip("*") for link in links if link.icon == ":material/check_circle:"}


def test_the_stepper_says_what_is_done_for_the_model() -> None:
    app = open_page("build")
    assert finished_steps(app) == {"Classify", "Check", "Profile"}
    app.selectbox(key="model").set_value("deit_tiny_patch16_224").run()
    assert not finished_steps(app)


def test_the_sample_that_the_model_gets_wrong_is_labelled() -> None:
    app = open_page()
    (mistake,) = [title for title, sample in sources.SAMPLES.items() if sample.is_mistaken]
    assert f"{mistake} (a mistake)" in app.button_group(key="sample").options
    app.button_group(key="sample").set_value(mistake).run()
    assert "**The answer is wrong.** The picture shows: coffee." in texts(app)


def test_random_weights_say_that_the_answer_means_nothing() -> None:
    app = open_page()
    app.button_group(key="weights").set_value("random").run()
    assert "this answer means nothing" in texts(app)


def test_the_picker_says_what_a_model_knows_and_what_it_costs() -> None:
    app = open_page()
    assert "5.9 M parameters, 224 × 224 pixels" in texts(app)
    app.button(key="tutorial").click().run()
    assert app.selectbox(key="model").value == "deit_base_patch16_224"
    assert "ImageNet's 1000 classes" in texts(app)
    assert "346 MB" in texts(app)


def test_the_picked_model_stays_on_every_page() -> None:
    app = open_page()
    app.selectbox(key="model").set_value("deit_tiny_patch16_224").run()
    app.switch_page(PAGES["build"]).run()
    assert app.selectbox(key="model").value == "deit_tiny_patch16_224"
    assert "DeiT-Tiny" in app.button(key="build").label


def test_the_default_model_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_DEFAULT_MODEL", "deit_small_patch16_224")
    assert open_page().selectbox(key="model").value == "deit_small_patch16_224"


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


def saved_titles() -> list[str]:
    """The files of the run that ships, the fastest first."""
    rows = sorted(read_record(embedded.SAVED_PROFILE).rows, key=lambda row: row.median_ms)
    return [FORMATS[row.format].title for row in rows]


def two_chosen() -> AppTest:
    return open_page("build").button_group(key="formats").set_value(["scripted", "quantized"]).run()


def test_the_build_page_builds_proves_and_offers_each_file_to_every_visitor() -> None:
    app = finished(two_chosen().button(key="build").click().run())
    frame = app.dataframe[0].value
    assert list(frame["Format"]) == ["Original", "Scripted", "Scripted and quantized"]
    assert all(flips.startswith("0 of ") for flips in frame["Flipped labels"][:2])
    assert list(frame["Verdict"]) == [Verdict.SAME, Verdict.SAME, Verdict.UNDECIDED]
    text = texts(app)
    assert "Every Linear weight takes one byte instead of four" in text
    assert "as the model sees them" in text
    assert "PyTorch Mobile 2.1.0" in text
    assert not any(button.key == "build" for button in app.button)
    other = open_page("build")
    assert list(other.dataframe[0].value["Format"]) == ["Original", "Scripted", "Scripted and quantized"]


@pytest.mark.usefixtures("two_built")
def test_a_format_that_was_not_built_is_offered_beside_those_that_were() -> None:
    app = two_chosen()
    app.button_group(key="formats").set_value(["scripted", "quantized", "lite"]).run()
    assert app.button(key="build").label == "Build 2 files of DeiT Deploy Tiny (included)"
    assert len(app.dataframe[0].value) == 3


def test_a_killed_worker_is_a_sentence_and_the_next_try_works() -> None:
    app = open_page("build")
    app.button_group(key="formats").set_value(["scripted"]).run()
    app.button(key="build").click().run()
    (process,) = services.jobs()._executors
    assert isinstance(process, WorkerProcess)
    deadline = time.monotonic() + 60
    while process.process_id is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.process_id, signal.SIGKILL)
    app = finished(app)
    assert "The worker ran out of memory or was killed" in app.error[0].value
    app.button(key="build").click().run()
    app = finished(app)
    assert not app.error
    assert len(app.dataframe[0].value) == 2


def test_a_queue_that_is_full_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_WAITING_JOBS", "1")
    app = open_page("build")
    for engine in ("qnnpack", "x86"):
        app.button_group(key="engine").set_value(engine).run()
        app.button(key="build").click().run()
    assert "Waiting: 1 job is before yours" in bar_text(app)
    app.button_group(key="optimize").set_value("tutorial").run()
    app.button(key="build").click().run()
    assert "1 jobs wait already" in app.error[0].value


def test_without_a_format_there_is_nothing_to_build() -> None:
    app = open_page("build")
    app.button_group(key="formats").set_value([]).run()
    assert not app.exception
    assert not any(button.key == "build" for button in app.button)
    assert "Choose at least one format" in texts(app)


@pytest.mark.usefixtures("two_built")
def test_profile_shows_the_saved_run_and_offers_to_measure_what_is_built() -> None:
    app = two_chosen()
    app.switch_page(PAGES["profile"]).run()
    assert list(app.dataframe[0].value["File"]) == saved_titles()
    assert re.fullmatch(r"Profile 3 files on this server: about \d0 seconds", app.button(key="profile").label)
    assert "Not built yet, so not measured: Optimized for mobile; Lite interpreter" in texts(app)


def test_a_kept_run_opens_by_its_link() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    run = replace(saved, measured_at="2026-01-01T00:00:00+00:00", rows=saved.rows[:3])
    services.runs().keep(run)
    link = open_page("profile")
    link.query_params["run"] = run.run_id
    link.run()
    assert list(link.dataframe[0].value["Median latency"]) == sorted(row.median_ms for row in run.rows)


def test_a_profile_asked_for_while_a_build_runs_waits_and_says_so() -> None:
    app = two_chosen()
    app.button(key="build").click().run()
    app.switch_page(PAGES["profile"]).run()
    app.button(key="profile").click().run()
    assert "Waiting: 1 job is before yours" in bar_text(app)
    assert app.button(key="profile").disabled
    assert list(app.dataframe[0].value["File"]) == saved_titles()


def test_a_run_from_another_machine_is_brought_in_and_compared() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    there = replace(saved, host=replace(saved.host, cpu="Cortex-A76"), measured_at="2026-01-01T00:00:00+00:00")
    services.runs().keep(saved)
    app = open_page("profile")
    document = json.dumps(documents.plain(there)).encode()
    app.file_uploader(key="run_file").upload("pi.json", document, "application/json").run()
    assert not app.exception
    assert "Cortex-A76" in texts(app)
    assert f"the same files, {escaped(saved.host.cpu)} and Cortex-A76" in texts(app)
    assert "brought from elsewhere" in texts(app).lower()
    assert app.query_params["run"] == there.run_id


def test_the_run_that_was_brought_is_compared_with_another() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    kept = [replace(saved, measured_at=f"2026-0{month}-01T00:00:00+00:00") for month in (1, 2)]
    for run in kept:
        services.runs().keep(run)
    there = replace(saved, host=replace(saved.host, cpu="Cortex-A76"), measured_at="2025-01-01T00:00:00+00:00")
    app = open_page("profile")
    document = json.dumps(documents.plain(there)).encode()
    app.file_uploader(key="run_file").upload("pi.json", document, "application/json").run()
    second = app.selectbox(key=f"second_run_{there.run_id}")
    first = app.selectbox(key=f"first_run_{there.run_id}")
    assert (first.value, second.value) == (kept[1], there)


def test_a_link_to_no_run_leaves_the_page_as_it_is() -> None:
    for key in ("deadbeefdeadbeef", "damaged"):
        if key == "damaged":
            run = replace(read_record(embedded.SAVED_PROFILE), measured_at="2026-01-01T00:00:00+00:00")
            key = services.runs().keep(run)
            (settings.load().home / "runs" / f"{key}.json").write_text("{")
        app = open_page("profile")
        app.query_params["run"] = key
        app.run()
        assert not app.exception
        assert len(app.error) == 1
        assert list(app.dataframe[0].value["File"]) == saved_titles()
        assert app.file_uploader(key="run_file")
        assert app.get("download_button")


def test_a_run_of_one_round_is_shown_and_claims_nothing() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    rows = tuple(
        replace(
            row,
            samples_ms=(row.median_ms,),
            median_interval_ms=None,
            ratio_interval=None,
            p95_ms=row.median_ms,
            spread_ms=0.0,
        )
        for row in saved.rows
    )
    short = replace(saved, rows=rows, repeats=1, settled=False, threads=1, measured_at="2026-01-01T00:00:00+00:00")
    short = replace(short, rows=tuple(replace(row, scaling=()) for row in rows))
    app = open_page("profile")
    app.query_params["run"] = services.runs().keep(short)
    app.run()
    assert not app.exception
    text = texts(app)
    assert "Cannot say yet" in [heading.value for heading in app.subheader]
    assert [heading.value for heading in app.header][0] == "No reliable difference; measure longer"
    assert "1 round cannot give an interval" in text
    assert "1 rounds" not in text
    app.toggle(key="all_columns").set_value(True).run()
    assert set(app.dataframe[0].value["95 % of the median"]) == {"too few rounds"}


def test_operators_of_two_files_are_laid_side_by_side() -> None:
    app = open_page("profile")
    frame = next(found.value for found in app.dataframe if "Operator" in found.value)
    assert list(frame.columns) == ["Operator", "Kind", "Original", "Scripted and quantized", "Difference", "Why"]
    assert frame["Difference"].tolist() == pytest.approx((frame["Scripted and quantized"] - frame["Original"]).tolist())


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG defines it."""

    def luminance(colour: str) -> float:
        shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#171614"], ids=["light", "dark"])
def test_every_file_is_seen_against_both_backgrounds(background: str) -> None:
    for colour in (*theme.file_colours().values(), theme.GREY):
        assert contrast(colour, background) >= 3, colour


def test_a_chart_shows_only_the_file_that_it_is_about_in_its_colour() -> None:
    colours = theme.emphasis(("ONNX",))
    assert colours.pop("ONNX") == FORMATS["onnx"].colour
    assert set(colours.values()) == {theme.GREY}


def test_profile_answers_first_and_says_nothing_twice() -> None:
    app = open_page("profile")
    best = min(read_record(embedded.SAVED_PROFILE).rows, key=lambda row: row.median_ms)
    speed = f"{best.median_ms:.1f} ms, {1 / best.ratio:.1f} times as fast as the original"
    assert app.header[0].value == escaped(f"{FORMATS[best.format].title}: {speed}")
    assert list(app.dataframe[0].value) == ["File", "Size", "Median latency", "Times as fast", "Matches the original"]
    app.toggle(key="all_columns").set_value(True).run()
    assert {"p95", "First answer", "Memory"} < set(app.dataframe[0].value)
    # Two cards may say the same of their files.
    elements = (*app.caption, *app.markdown, *app.header, *app.subheader)
    said = [str(one.value) for one in elements if "instead of" not in str(one.value)]
    sentences = [part.strip() for text in said for part in re.split(r"(?<=[.;])\s", text) if len(part.split()) > 3]
    assert [sentence for sentence in set(sentences) if sentences.count(sentence) > 1] == []
    assert not re.search(r"\bNone\b|\+0 %|\bempty\b", "\n".join(said))


def test_a_run_of_latency_only_shows_what_it_has_and_says_what_it_has_not() -> None:
    saved = read_record(embedded.SAVED_PROFILE)
    unknown = dict.fromkeys(("load_ms", "first_ms", "peak_bytes", "runtime_bytes", "self_cpu_ms"))
    rows = tuple(replace(row, **unknown, operators=(), throughput=()) for row in saved.rows)  # type: ignore[arg-type]
    run = services.runs().keep(replace(saved, rows=rows, visits=0))
    app = open_page("profile")
    app.query_params["run"] = run
    app.run()
    assert not app.exception
    assert not app.error
    for what in ("operators", "batches", "loading, the first answer and memory"):
        assert f"This run did not measure {what}, because only the latency was asked for." in texts(app)
    app.toggle(key="all_columns").set_value(True).run()
    assert not {"Load", "First answer", "Memory"} & set(app.dataframe[0].value)


def test_a_file_has_another_colour_than_a_kind_of_operator() -> None:
    colours = {row.colour for row in FORMATS.values()}
    assert len(colours) == len(FORMATS)
    assert not colours & set(theme.KIND_COLOURS)


def test_a_run_that_is_none_is_a_sentence() -> None:
    app = open_page("profile")
    app.file_uploader(key="run_file").upload("none.json", b"{}", "application/json").run()
    assert "This is not the record of a profile" in app.error[0].value
    app = open_page("profile")
    app.query_params["run"] = "../../etc/passwd"
    app.run()
    assert "There is no run" in app.error[0].value


def test_limits_change_what_is_recommended() -> None:
    app = open_page("profile")
    assert "Nothing" not in [heading.value for heading in app.subheader]
    app.number_input(key="limit_mb").set_value(0.5).run()
    assert "Nothing" in [heading.value for heading in app.subheader]
    assert "keeps these limits. The nearest is" in texts(app)


def test_profile_of_a_model_that_was_never_measured_says_so() -> None:
    app = open_page("profile")
    for name in MODELS:
        app.selectbox(key="model").set_value(name).run()
        assert not app.exception
        assert ("has not been measured here yet" in texts(app)) == (name != "demo"), name


def packed(pictures: Mapping[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in pictures.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def picture(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 32), (shade, 255 - shade, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def evaluated(archive: bytes) -> AppTest:
    app = open_page("evaluate")
    app.file_uploader[0].upload("mine.zip", archive, "application/zip").run()
    app.button_group(key="evaluated_formats").set_value(["scripted", "quantized"]).run()
    app.button(key="evaluate").click().run()
    return finished(app)


def test_evaluate_shows_the_saved_run_of_the_embedded_model() -> None:
    app = open_page("evaluate")
    assert "of 500 pictures" in texts(app)
    assert len(app.dataframe[0].value) == len(RUN_HERE)
    app.selectbox(key="confusion").set_value("ONNX, int8").run()
    assert not app.exception


@pytest.mark.usefixtures("two_built")
def test_evaluate_asks_the_files_about_pictures_of_ones_own() -> None:
    pictures = {f"{name}/{shade}.png": picture(shade) for name in ("tabby", "zebra") for shade in range(0, 250, 50)}
    app = evaluated(packed(pictures | {"tabby/broken*.png": b"none", "pizza/": b"", "notes.txt": b""}))
    assert not app.error
    assert list(app.dataframe[0].value["File"]) == ["Original", "Scripted", "Scripted and quantized"]
    text = texts(app)
    assert "of 10 correct" in text
    assert "Cannot be read, so not counted: **1** of the pictures. tabby/broken\\*.png" in text
    assert "No pictures in: pizza" in text
    assert app.button(key="evaluate").label == "Evaluate 3 files on mine.zip again"


@pytest.mark.usefixtures("two_built")
def test_a_folder_of_no_class_is_named_and_left_out_if_the_visitor_agrees() -> None:
    app = evaluated(packed({"unicorn/1.png": picture(9), "tabby/1.png": picture(90), "zebra/2.png": picture(50)}))
    assert "unicorn" in app.error[0].value
    app.button(key="leave_out").click().run()
    finished(app)
    assert not app.error
    assert not app.exception
    assert "of 2 correct" in texts(app)
    assert "the model has no such class: **unicorn**" in texts(app)


def test_a_model_without_a_saved_run_asks_for_pictures() -> None:
    app = open_page("evaluate")
    app.button_group(key="weights").set_value("random").run()
    assert "needs labelled pictures of ImageNet's 1000 classes" in texts(app)
    assert not app.dataframe


def bar_text(app: AppTest) -> str:
    return "\n".join(str(element.proto.text) for element in app.get("progress"))
