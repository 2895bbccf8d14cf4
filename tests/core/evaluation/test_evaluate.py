"""Evaluations compared with the answers of the classifier, picture by picture."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deploy_core import embedded
from deploy_core.cli.main import main
from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation import evaluate
from deploy_core.evaluation.labelled import LabelledSet
from deploy_core.evaluation.results import Evaluation, read_evaluation, save_evaluation
from deploy_core.evaluation.subjects import Subject, open_artifact, open_subject
from deploy_core.files import sha256
from deploy_core.formats import FORMATS
from deploy_core.inference import classify
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.training import measure
from deploy_core.types import Event
from tests.conftest import PROJECT
from tests.whole_build import WholeBuild

CIFAR = PROJECT.parent / "shared" / "cifar10"
SPEC = load.find("demo")
# More than one shard.
PICTURES = evaluate.SHARD + 16


def write_pictures(folder: Path, count: int = PICTURES) -> Path:
    """Crops of the sample photographs in class folders that do not match what they show; two cannot be read."""
    generator = np.random.default_rng(0)
    photographs = [Image.open(path).convert("RGB") for path in sorted(embedded.SAMPLES.glob("*.[jp]*g"))]
    for number in range(count):
        side = int(generator.integers(24, 200))
        photograph = photographs[number % len(photographs)]
        left, top = (int(generator.integers(0, extent - side)) for extent in photograph.size)
        place = folder / embedded.LABELS[number % 9]
        place.mkdir(parents=True, exist_ok=True)
        photograph.crop((left, top, left + side, top + side)).save(place / f"{number:03}.png")
    (folder / "truck").mkdir()
    (folder / "cat" / "broken.jpg").write_bytes(b"\xff\xd8 and no more")
    (folder / "dog" / "empty.png").write_bytes(b"")
    (folder / "dog" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("labelled") / "pictures")


@pytest.fixture
def pictures(folder: Path, limits: Settings) -> LabelledSet:
    return evaluate.open_pictures(folder, SPEC, limits)


@pytest.fixture(scope="module")
def subjects(whole_build: WholeBuild) -> tuple[Subject, ...]:
    return tuple(open_artifact(whole_build.path(key), "demo", "pretrained") for key in FORMATS)


@pytest.fixture(scope="module")
def evaluation(folder: Path, subjects: tuple[Subject, ...]) -> Evaluation:
    return evaluate.evaluate(subjects, evaluate.open_pictures(folder, SPEC, Settings()), Settings())


def asked_one_by_one(path: Path, folder: Path) -> Iterator[tuple[str, int, float]]:
    """The true label, the answer and its probability for each readable picture."""
    classifier = classify.open_artifact(path, "demo", "pretrained")
    for picture in sorted(folder.glob("*/*.png")):
        if picture.stat().st_size:
            best = classifier.classify(str(picture), Settings(), 1).top[0]
            yield picture.parent.name, best.index, best.probability


@pytest.mark.parametrize("key", FORMATS)
def test_every_format_scores_what_it_answers_one_picture_at_a_time(
    key: str, evaluation: Evaluation, folder: Path, whole_build: WholeBuild
) -> None:
    given = list(asked_one_by_one(whole_build.path(key), folder))
    result = next(result for result in evaluation.results if result.subject == key)
    right = [embedded.LABELS[index] == label for label, index, _ in given]
    assert result.score.count == len(given) == PICTURES
    assert result.score.top1 == sum(right) / PICTURES
    assert result.score.mean_probability == pytest.approx(np.mean([sure for *_, sure in given]), abs=1e-5)
    cells = {(embedded.LABELS[cell.true], cell.answered): cell.count for cell in result.score.confusion}
    assert sum(cells.values()) == PICTURES
    assert cells == {pair: [(label, index) for label, index, _ in given].count(pair) for pair in cells}


def test_the_first_subject_is_the_yardstick(evaluation: Evaluation) -> None:
    changes = {result.subject: result.change for result in evaluation.results}
    assert changes.pop("original") is None
    assert all(change is not None for change in changes.values())
    scripted = next(result for result in evaluation.results if result.subject == "scripted")
    assert scripted.change is not None
    assert (scripted.change.gained, scripted.change.lost) == (0, 0)


def test_what_cannot_be_read_is_named_and_the_rest_counts(evaluation: Evaluation) -> None:
    assert evaluation.unreadable == ("cat/broken.jpg", "dog/empty.png")
    assert (evaluation.count, evaluation.ignored) == (PICTURES, 1)
    assert evaluation.results[0].score.per_class["truck"] is None


def test_disagreements_are_the_pictures_whose_answers_differ(evaluation: Evaluation) -> None:
    assert evaluation.disagreeing >= len(evaluation.disagreements)
    for found in evaluation.disagreements:
        assert len({opinion.answer for opinion in found.opinions}) > 1
        assert [opinion.subject for opinion in found.opinions] == list(FORMATS)
        assert found.thumbnail


def test_progress_goes_to_the_end(pictures: LabelledSet, subjects: tuple[Subject, ...], limits: Settings) -> None:
    events: list[Event] = []
    evaluate.evaluate(subjects[:1], pictures, limits, events.append)
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert events[-1] == Event(f"{PICTURES + 2} of {PICTURES + 2} pictures", 1.0)


def test_an_archive_gives_the_folders_figures(
    folder: Path, subjects: tuple[Subject, ...], limits: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "pictures.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        archive.add(folder, "pictures")

    def figures(where: Path) -> Any:
        found = evaluate.evaluate(subjects[:2], evaluate.open_pictures(where, SPEC, limits), limits)
        return [dataclasses.replace(result.score, images_per_second=0, confusion=()) for result in found.results]

    assert figures(path) == figures(folder)


def test_a_set_of_one_class_is_a_set(tmp_path: Path, subjects: tuple[Subject, ...], limits: Settings) -> None:
    (tmp_path / "cat").mkdir()
    Image.open(embedded.SAMPLES / "chelsea.png").save(tmp_path / "cat" / "1.png")
    found = evaluate.evaluate(subjects[:1], evaluate.open_pictures(tmp_path, SPEC, limits), limits)
    assert list(found.results[0].score.per_class) == ["cat"]


def test_only_broken_pictures_are_refused(tmp_path: Path, subjects: tuple[Subject, ...], limits: Settings) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InvalidPictureSet, match="None of the 1 pictures can be read"):
        evaluate.evaluate(subjects[:1], evaluate.open_pictures(tmp_path, SPEC, limits), limits)


def test_an_evaluation_survives_the_disk(evaluation: Evaluation, tmp_path: Path) -> None:
    save_evaluation(evaluation, tmp_path / "evaluation.json")
    assert read_evaluation(tmp_path / "evaluation.json") == evaluation


def test_the_command_gives_the_contract(
    folder: Path, whole_build: WholeBuild, evaluation: Evaluation, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(whole_build.path("quantized")), "--data", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    figures = next(result.score for result in evaluation.results if result.subject == "quantized")
    assert {"model", "count", "top1", "top5", "per_class", "confusion", "ece", "images_per_second"} <= set(document)
    assert (document["model"], document["weights"], document["count"]) == ("demo", "pretrained", PICTURES)
    assert (document["top1"], document["top5"], document["ece"]) == (figures.top1, figures.top5, figures.ece)
    assert document["per_class"] == figures.per_class
    assert np.array(document["confusion"]).sum() == PICTURES
    assert np.trace(np.array(document["confusion"])) == round(figures.top1 * PICTURES)
    assert document["unreadable"] == ["cat/broken.jpg", "dog/empty.png"]


def test_the_command_tells_people(folder: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "demo", "--data", str(folder), "--weights", "random"]) == 0
    printed = capsys.readouterr()
    assert "top-1" in printed.out
    assert "Cannot be read, so not counted: 2 of the pictures. cat/broken.jpg, dog/empty.png" in printed.out
    assert "these figures mean nothing" in printed.out
    assert f"{PICTURES + 2} of {PICTURES + 2} pictures" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--data", "{nowhere}"], "There is no file or folder"),
        (["demo", "--data", "{strange}"], "no class 'cats'.*Did you mean 'cat'"),
        (["nosuch.pt", "--data", "{folder}"], "no artifact nosuch.pt"),
        (["demo", "--model", "deit_tiny_patch16_224", "--data", "{folder}"], "Leave --model out"),
        (["demo", "--data", "{folder}", "--shared-data"], "Name its --scheduler"),
        (["demo"], "required: --data"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    folder: Path,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "strange" / "cats").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "strange" / "cats" / "1.png")
    places = {"folder": folder, "nowhere": tmp_path / "nowhere", "strange": tmp_path / "strange"}
    assert main(["evaluate", *(argument.format(**places) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(message, captured.err.splitlines()[-1])


def test_nothing_of_dask_is_imported_without_a_scheduler(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = write_pictures(tmp_path / "pictures", 9)
    code = (
        "import sys; from deploy_core.cli.main import main; "
        f"assert main(['evaluate', 'demo', '--data', {str(folder)!r}]) == 0; "
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment, cwd=PROJECT)


def test_the_shipped_weights_keep_what_the_card_states(limits: Settings, tmp_path: Path) -> None:
    """Every tenth test picture of each class, by name."""
    if not CIFAR.is_dir():
        pytest.skip("CIFAR-10 of shared/cifar10 is not beside this checkout")
    with tarfile.open(CIFAR / "test.tar.xz") as archive:
        names = sorted(member.name for member in archive if member.name.endswith(".jpg"))
        for name in names[::10]:
            archive.extract(name, tmp_path, filter="data")
    subject = open_subject("demo", "demo", "pretrained", limits)
    found = evaluate.evaluate([subject], evaluate.open_pictures(tmp_path / "test", SPEC, limits), limits)
    card = (embedded.FOLDER / "MODEL_CARD.md").read_text()
    assert found.count == 1000
    assert f"| top-1 on every tenth of them | {found.results[0].score.top1:.1%} |".replace("%", " %") in card


def test_the_card_states_the_saved_evaluation() -> None:
    saved = read_evaluation(embedded.SAVED_EVALUATION)
    card = (embedded.FOLDER / "MODEL_CARD.md").read_text()
    assert f"| SHA-256 | `{sha256(embedded.WEIGHTS)}` |" in card
    original = saved.results[0].score
    low, high = original.top1_interval
    figure = f"| top-1 | {original.top1:.2%} (95 %: {low:.2%} to {high:.2%}) |"
    assert figure.replace("%", " %").replace("  ", " ") in card
    assert saved.count == 10000
    assert measure.table(saved) in card


def test_int8_costs_no_more_than_half_a_point() -> None:
    saved = read_evaluation(embedded.SAVED_EVALUATION)
    losses = {result.subject: -result.change.top1 for result in saved.results if result.change}
    assert set(losses) == set(FORMATS) - {"original"}
    assert max(losses.values()) <= 0.005
