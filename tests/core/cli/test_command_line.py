"""The contract that scripts rely on."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from deploy_core import build, embedded, files, settings
from deploy_core.cli import profile_files
from deploy_core.cli.main import main
from deploy_core.errors import ClusterUnavailable
from deploy_core.evaluation import cluster
from deploy_core.formats import FORMATS
from deploy_core.models import catalogue
from deploy_core.models.catalogue import MODELS
from deploy_core.profile.measure.run import Options, profile
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.record.saved import read_record
from deploy_core.settings import Settings
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
from tests.whole_build import RUN_HERE, WholeBuild

CAT = str(embedded.SAMPLES / "chelsea.png")
pytestmark = pytest.mark.usefixtures("home", "few_pictures")


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status = main([*arguments, "--json"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return json.loads(captured.out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake gets."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("deploy_core: ")
    assert "Traceback" not in captured.err
    return last


@pytest.fixture(scope="module")
def built(whole_build: WholeBuild) -> Path:
    return whole_build.folder


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    rows = run_json(capsys, "models")
    assert [row["name"] for row in rows] == list(MODELS)
    assert all(list(row) == ["name", "source", "parameters", "input_size", "classes"] for row in rows)
    assert rows[0] == {"name": "demo", "source": "embedded", "parameters": 5910800, "input_size": 224, "classes": 1000}


def test_classify(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_json(capsys, "classify", CAT, "--top", "3")
    assert list(answer) == ["model", "weights", "source", "top", "milliseconds"]
    assert (answer["model"], answer["weights"], answer["source"]) == ("demo", "pretrained", CAT)
    assert [list(row) for row in answer["top"]] == [["index", "label", "probability"]] * 3
    labels = catalogue.labels(MODELS["demo"])
    assert all(labels[row["index"]] == row["label"] for row in answer["top"])
    probabilities = [row["probability"] for row in answer["top"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert set(answer["milliseconds"]) == {"read", "preprocess", "inference"}
    assert all(value > 0 for value in answer["milliseconds"].values())


@pytest.mark.parametrize("key", RUN_HERE)
def test_classify_with_an_artifact_gives_the_originals_answer(
    key: str, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = run_json(capsys, "classify", CAT)
    answer = run_json(capsys, "classify", CAT, "--artifact", str(built / FORMATS[key].filename("demo")))
    assert answer["top"][0]["index"] == original["top"][0]["index"]
    assert answer["top"][0]["probability"] == pytest.approx(original["top"][0]["probability"], abs=0.05)


def test_build(pets: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = ["--model", str(pets), "--formats", "scripted, lite", "--out", str(tmp_path), "--engine", "x86"]
    result = run_json(capsys, "build", *asked)
    assert (result["model"], result["weights"], result["engine"]) == ("pets", "pretrained", "x86")
    assert [row["format"] for row in result["artifacts"]] == ["original", "scripted", "quantized", "optimized", "lite"]
    promised = {"format", "file", "bytes", "sha256", "seconds", "disagrees", "proof"}
    promised |= {"available", "error", "delegated_percent"}
    for row in result["artifacts"]:
        assert promised <= set(row)
        assert row["sha256"] == files.sha256(tmp_path / row["file"])
        assert (row["available"], row["error"]) == (True, None)
        assert row["proof"]["pictures"] == 2
        assert row["proof"]["cosine"] >= FORMATS[row["format"]].least_cosine


def test_a_build_that_lacks_a_format_says_so_in_its_row_and_its_status(
    pets: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("nobody expected this")

    def outcome(**changes: Any) -> tuple[int, dict[str, Any]]:
        monkeypatch.setitem(FORMATS, "quantized", dataclasses.replace(FORMATS["quantized"], **changes))
        status = main(
            ["build", "--model", str(pets), "--formats", "scripted,quantized", "--out", str(tmp_path), "--json"]
        )
        return status, json.loads(capsys.readouterr().out)["artifacts"][-1]

    status, row = outcome(probe=lambda: "Install it: pip install it==1")
    assert (status, row["available"], row["error"]) == (0, False, "Install it: pip install it==1")
    assert row["file"] is row["delegated_percent"] is None
    status, row = outcome(probe=lambda: None, convert=fail)
    assert (status, row["available"]) == (1, True)
    assert "ZeroDivisionError" in row["error"]


def test_bundle_and_verify(built: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    artifact, out = built / FORMATS["lite"].filename("demo"), tmp_path / "lite.zip"
    told = run_json(capsys, "bundle", str(artifact), "--out", str(out))
    assert told["bytes"] == out.stat().st_size > artifact.stat().st_size
    assert run_json(capsys, "verify", str(out))["holds"]
    whole = out.read_bytes()
    out.write_bytes(whole[:2000] + b"\0\1\2" + whole[2003:])
    assert "verify" not in refused(capsys, "verify", str(out))
    assert "holds no finished build" in refused(capsys, "bundle", str(out))


def test_a_bundle_of_what_the_app_built(
    pets: Path, capsys: pytest.CaptureFixture[str], limits: Settings, tmp_path: Path
) -> None:
    request = BuildRequest(str(pets), "pretrained", ("scripted",))
    with open_shelf(Store(limits), request) as shelf:
        build.build(request, shelf, limits)
    file = next(row["file"] for row in run_json(capsys, "store")["artifacts"] if row["format"] == "scripted")
    run_json(capsys, "bundle", file, "--out", str(tmp_path / "b.zip"))
    assert run_json(capsys, "verify", str(tmp_path / "b.zip"))["holds"]


def test_store_lists_and_clears(capsys: pytest.CaptureFixture[str], limits: Settings) -> None:
    assert run_json(capsys, "store")["artifacts"] == []
    request = BuildRequest("demo", "pretrained", ("scripted",))
    with open_shelf(Store(limits), request) as shelf:
        result = build.build(request, shelf, limits)
    listed = run_json(capsys, "store")
    assert {row["format"] for row in listed["artifacts"]} == {"original", "scripted"}
    assert {row["sha256"] for row in listed["artifacts"]} == {artifact.sha256 for artifact in result.artifacts}
    assert listed["bytes"] >= sum(artifact.bytes for artifact in result.artifacts)
    assert main(["store"]) == 0
    assert "demo_scripted.pt" in capsys.readouterr().out
    assert run_json(capsys, "store", "--clear")["artifacts"] == []


def test_a_profile_is_a_table_for_people_and_json_for_scripts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, traces = str(tmp_path / "built"), tmp_path / "traces"
    runs: list[Record] = []
    options: list[Options] = []

    def measure_once(*given: Any) -> Record:
        options.append(given[3])
        if not runs:
            runs.append(profile(*given))
        return runs[0]

    monkeypatch.setattr(profile_files, "profile", measure_once)
    assert main(["build", "--formats", "scripted", "--out", built]) == 0
    assert "demo_scripted.pt" in capsys.readouterr().out
    asked = ["--repeats", "2", "--budget", "0.1", "--threads", "1", "--batch", "1,2", "--trace", str(traces)]
    assert main(["profile", built, *asked, "--operators", "--save"]) == 0
    printed, told = capsys.readouterr()
    assert "Scripted" in printed
    assert "aten::addmm" in printed
    assert "pictures/s" in printed
    assert "too few rounds" in printed
    key = re.findall(r"Saved as run (\w+)\.", told)[0]
    with zipfile.ZipFile(Runs(settings.load()).traces(key) or "") as archive:
        assert set(archive.namelist()) == {path.name for path in traces.iterdir()}
    assert {path.name for path in traces.iterdir()} == {"demo.safetensors.trace.json", "demo_scripted.pt.trace.json"}
    assert main(["compare", key, str(embedded.SAVED_PROFILE)]) == 0
    assert "No reliable difference for: Original, Scripted." in capsys.readouterr().out
    assert run_json(capsys, "compare", key, key)["same_files"]

    report = run_json(capsys, "profile", built, *asked, "--latency-only")
    assert [one.is_latency_only for one in options] == [False, True]
    assert report["host"]["cpu"]
    assert [found["batch"] for found in report["rows"][0]["throughput"]] == [1, 2]
    promised = {"format", "median_ms", "p95_ms", "self_cpu_ms", "reduction_percent"}
    assert all(promised <= set(row) for row in report["rows"])
    assert report["rows"][0]["format"] == "original"


@pytest.mark.parametrize("arguments", [["models"], ["classify", CAT], ["--help"], ["build", "--help"]])
def test_people_get_text(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
    else:
        assert main(arguments) == 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(capsys.readouterr().out)


def test_random_weights_say_that_the_answer_means_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", CAT, "--weights", "random"]) == 0
    assert "means nothing" in capsys.readouterr().out
    assert run_json(capsys, "classify", CAT, "--weights", "random")["weights"] == "random"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["frobnicate"], "frobnicate"),
        (["classify"], "SOURCE"),
        (["classify", "nowhere.jpg"], "nowhere.jpg"),
        (["classify", CAT, "--model", "vgg"], "no model 'vgg'"),
        (["classify", CAT, "--top", "1001"], "knows 1000 classes"),
        (["classify", CAT, "--top", "0"], "knows 1000 classes"),
        (["classify", CAT, "--top", "many"], "invalid int value"),
        (["classify", CAT, "--weights", "nowhere.pth"], "no checkpoint file nowhere.pth"),
        (["classify", CAT, "--artifact", "nowhere.ptl"], "no artifact nowhere.ptl"),
        (["classify", CAT, "--artifact", CAT], "no artifact this project knows"),
        (["classify", __file__], "not a picture"),
        (["classify", "ftp://example.com/a.jpg"], "http"),
        (["classify", "http://127.0.0.1/a.jpg"], "private network"),
        (["build", "--formats", "gguf"], "no format 'gguf'"),
        (["build", "--engine", "cuda"], "engine 'cuda'"),
        (["profile", "nowhere"], "no finished build"),
        (["profile", "nowhere", "--batch", "x"], "'x' is no list of numbers"),
        (["compare", "nowhere", "nowhere"], "no run 'nowhere'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, *arguments)


def test_an_artifact_of_another_model_is_told(built: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lite = built / FORMATS["lite"].filename("demo")
    line = refused(capsys, "classify", CAT, "--artifact", str(lite), "--model", "deit_tiny_patch16_224")
    assert "was built with --model demo" in line
    moved = tmp_path / "moved.ptl"
    moved.write_bytes(lite.read_bytes())
    # Away from its manifest, nobody can tell which weights are in it.
    assert run_json(capsys, "classify", CAT, "--artifact", str(moved))["weights"] == "unknown"
    line = refused(capsys, "classify", CAT, "--artifact", str(moved), "--model", "deit_base_patch16_384")
    assert "Give the model that it was built from" in line


@pytest.mark.parametrize("value", ["plenty", "0", "-1"])
def test_a_wrong_setting_is_one_line(
    value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_PICTURE_BYTES", value)
    assert f"DEIT_DEPLOY_PICTURE_BYTES is '{value}'" in refused(capsys, "models")


def test_an_answer_of_no_numbers_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = load_file(embedded.WEIGHTS)
    save_file(state | {"norm.bias": state["norm.bias"] * float("nan")}, tmp_path / "nan.safetensors")
    assert "infinite numbers or NaN" in refused(capsys, "classify", CAT, "--weights", str(tmp_path / "nan.safetensors"))


def test_the_default_model_is_a_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIT_DEPLOY_DEFAULT_MODEL", "deit_tiny_patch16_224")
    assert run_json(capsys, "classify", CAT, "--weights", "random")["model"] == "deit_tiny_patch16_224"


def test_json_is_alone_on_standard_output(environment: dict[str, str], pets: Path, tmp_path: Path) -> None:
    asked = ["--model", str(pets), "--formats", "scripted", "--json", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "deploy_core", "build", *asked]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert len(json.loads(finished.stdout)["artifacts"]) == 2
    assert "Building Scripted" in finished.stderr
    assert "Warning" not in finished.stderr


def test_a_reader_that_goes_away_is_no_traceback(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "deploy_core", "models"]
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        command, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert "Traceback" not in finished.stderr


def test_real_photographs(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every photograph is read and answered; which answers are right is for the model card to say."""
    for path in sorted(photos.glob("*.[jJp][Pn]*")):
        answer = run_json(capsys, "classify", str(path))
        assert len(answer["top"]) == 5
        assert sum(row["probability"] for row in answer["top"]) <= 1 + 1e-6


def test_a_picture_from_another_folder_with_odd_characters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answer: Callable[[str], str]
) -> None:
    path = tmp_path / "ein Bild — ü.png"
    Image.open(CAT).save(path)
    assert run_json(capsys, "classify", str(path))["top"][0]["label"] == answer("chelsea.png")


def test_programs_of_strangers_are_warned_of(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key, warned in (("scripted", True), ("lite", True), ("onnx", False), ("original", False)):
        assert main(["classify", CAT, "--artifact", str(built / FORMATS[key].filename("demo"))]) == 0
        assert ("is a TorchScript program" in capsys.readouterr().err) is warned


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("tcp://192.0.2.1:8786", True),
        ("192.0.2.1:8786", True),
        ("scheduler:8786", True),
        ("tcp://[2001:db8::1]:8786", True),
        ("tcp://0.0.0.0:8786", True),
        ("tls://192.0.2.1:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("127.1.2.3:8786", False),
        ("Localhost:8786", False),
        ("tcp://[::1]:8786", False),
    ],
)
def test_a_scheduler_that_anybody_may_reach_is_told(
    address: str, is_told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> None:
        raise ClusterUnavailable("Nobody is there.", "Wait.")

    monkeypatch.setattr(cluster, "evaluate", nobody)
    (tmp_path / "tabby").mkdir()
    (tmp_path / "tabby" / "1.png").write_bytes(Path(CAT).read_bytes())
    assert main(["evaluate", "demo", "--data", str(tmp_path), "--scheduler", address]) == 2
    *told, last = capsys.readouterr().err.splitlines()
    assert last == "deploy_core: Nobody is there. Wait."
    assert told == is_told * [
        f"deploy_core: The connection to {address} is not encrypted, and anyone who reaches it can run code there: "
        "give a cluster certificates, and name it as tls://HOST:PORT."
    ]


def test_a_name_of_any_length_gives_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("classify", CAT), ("build",)):
        assert main([*command, "--model", "m" * 100_000]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("deploy_core: There is no model 'mmm")
        assert len(line) < 1_500


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_home_that_is_a_file_is_one_line_where_it_is_needed(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEIT_DEPLOY_HOME", str(tmp_path / place))
    run = "0123456789abcdef"
    for command in (("store",), ("store", "--clear"), ("compare", run, run)):
        line = refused(capsys, *command)
        assert f"{tmp_path / place}" in line
        assert line.endswith("cannot be written (Not a directory). Name a folder that you may write to.")
    assert run_json(capsys, "classify", CAT)["model"] == "demo"
    out = tmp_path / "elsewhere"
    assert run_json(capsys, "build", "--formats", "original", "--out", str(out))["folder"] == str(out)
    assert run_json(capsys, "bundle", str(out / FORMATS["original"].filename("demo")))["bytes"]
    saved = read_record(embedded.SAVED_PROFILE)
    monkeypatch.setattr(profile_files, "profile", lambda *_: saved)
    assert "Not a directory" in refused(capsys, "profile", str(out), "--save")
