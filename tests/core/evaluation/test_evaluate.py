"""Evaluations compared with the answers of the classifier, picture by picture."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.imagenet_info import ImageNetInfo
from torchvision import transforms

from deploy_core import embedded, shares
from deploy_core.cli.main import main
from deploy_core.errors import InvalidPictureSet, UnknownClasses
from deploy_core.evaluation import evaluate, subjects
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.evaluation.labelled import LabelledSet
from deploy_core.evaluation.results import Evaluation, read_evaluation, save_evaluation
from deploy_core.evaluation.subjects import Subject, open_artifact, open_subject
from deploy_core.files import sha256
from deploy_core.formats import FORMATS
from deploy_core.inference import classify, verdicts
from deploy_core.models import catalogue, load
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from deploy_core.training import measure
from deploy_core.types import Event, Verdict
from tests import own_model
from tests.conftest import PROJECT
from tests.whole_build import RUN_HERE, WholeBuild

IMAGENET = PROJECT.parent / "shared" / "imagenet"
SPEC = load.find("demo")
# The folders of the pictures, and one more without any.
CLASSES = ("zebra", "tabby", "gondola", "toaster", "school bus", "pizza", "espresso", "coffee mug", "acoustic guitar")
INDICES = ClassNames(SPEC).indices([*CLASSES, "banana"])
# More than one shard, and more than one batch in a shard.
SHARD, BATCH = 8, 3
PICTURES = SHARD + 4


def write_pictures(folder: Path, count: int = PICTURES) -> Path:
    """Crops of the sample photographs in class folders that do not match what they show; two cannot be read."""
    generator = np.random.default_rng(0)
    photographs = [Image.open(sample.path).convert("RGB") for sample in embedded.samples()]
    for number in range(count):
        side = int(generator.integers(24, 200))
        photograph = photographs[number % len(photographs)]
        left, top = (int(generator.integers(0, extent - side)) for extent in photograph.size)
        place = folder / CLASSES[number % len(CLASSES)]
        place.mkdir(parents=True, exist_ok=True)
        photograph.crop((left, top, left + side, top + side)).save(place / f"{number:03}.png")
    (folder / "banana").mkdir()
    (folder / "tabby" / "broken.jpg").write_bytes(b"\xff\xd8 and no more")
    (folder / "zebra" / "empty.png").write_bytes(b"")
    (folder / "zebra" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "SHARD", SHARD)
        patch.setattr(subjects, "BATCH", BATCH)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("labelled") / "pictures")


@pytest.fixture
def pictures(folder: Path, limits: Settings) -> LabelledSet:
    return evaluate.open_pictures(folder, SPEC, limits)


@pytest.fixture(scope="module")
def opened(whole_build: WholeBuild) -> tuple[Subject, ...]:
    return tuple(open_artifact(whole_build.path(key), "demo", "pretrained") for key in RUN_HERE)


@pytest.fixture(scope="module")
def evaluation(folder: Path, opened: tuple[Subject, ...]) -> Evaluation:
    return evaluate.evaluate(opened, evaluate.open_pictures(folder, SPEC, Settings()), Settings())


@dataclasses.dataclass(frozen=True)
class Given:
    """The answer to one picture, asked by itself."""

    name: str
    true: int
    answered: int
    probability: float


@pytest.fixture(scope="module")
def asked_one_by_one(folder: Path, opened: tuple[Subject, ...]) -> dict[str, list[Given]]:
    """The answers of each format to the readable pictures."""
    found: dict[str, list[Given]] = {subject.name: [] for subject in opened}
    for picture in sorted(folder.glob("*/*.png")):
        if not picture.stat().st_size:
            continue
        name, true = picture.relative_to(folder).as_posix(), INDICES[picture.parent.name]
        for subject in opened:
            best = subject.classifier.classify(str(picture), Settings(), 1).top[0]
            found[subject.name].append(Given(name, true, best.index, best.probability))
    return found


@pytest.mark.parametrize("key", RUN_HERE)
def test_every_format_scores_what_it_answers_one_picture_at_a_time(
    key: str, evaluation: Evaluation, asked_one_by_one: dict[str, list[Given]]
) -> None:
    given = asked_one_by_one[key]
    result = next(result for result in evaluation.results if result.subject == key)
    assert result.score.count == len(given) == PICTURES
    assert result.score.top1 == sum(one.answered == one.true for one in given) / PICTURES
    assert result.score.mean_probability == pytest.approx(np.mean([one.probability for one in given]), abs=1e-5)
    pairs = Counter((one.true, one.answered) for one in given)
    assert {(cell.true, cell.answered): cell.count for cell in result.score.confusion} == pairs


def test_a_proof_is_of_the_answers_to_the_set(evaluation: Evaluation) -> None:
    for result in evaluation.results[1:]:
        assert result.proof is not None
        assert result.change is not None
        assert (result.proof.pictures, result.proof.flips) == (PICTURES, result.change.flipped)
        assert result.proof.verdict is (None if FORMATS[result.subject].is_int8 else Verdict.SAME)
        assert result.proof.engine == FORMATS[result.subject].run_engine()


def test_the_first_subject_is_the_yardstick(evaluation: Evaluation) -> None:
    changes = {result.subject: result.change for result in evaluation.results}
    assert changes.pop("original") is None
    assert all(change is not None for change in changes.values())
    scripted = next(result for result in evaluation.results if result.subject == "scripted")
    assert scripted.change is not None
    assert (scripted.change.gained, scripted.change.lost) == (0, 0)


def test_what_cannot_be_read_is_named_and_the_rest_counts(evaluation: Evaluation) -> None:
    assert evaluation.unreadable == ("tabby/broken.jpg", "zebra/empty.png")
    assert (evaluation.count, evaluation.ignored) == (PICTURES, 1)
    assert evaluation.results[0].score.per_class["banana"] is None


def test_disagreements_are_the_pictures_whose_answers_differ(
    evaluation: Evaluation, asked_one_by_one: dict[str, list[Given]]
) -> None:
    together = zip(*asked_one_by_one.values(), strict=True)
    differ = {given[0].name for given in together if len({one.answered for one in given}) > 1}
    assert {found.picture for found in evaluation.disagreements} == differ
    assert evaluation.disagreeing == len(differ)


def test_a_disagreement_has_every_opinion_and_a_small_picture(pets: Path, tmp_path: Path, limits: Settings) -> None:
    """One model always answers with the second class, the other with the first."""
    state = own_model.state()
    state["head.bias"][0] += 10
    save_file(state, tmp_path / "others.safetensors")
    labels = Corrections(labels=own_model.LABELS)
    others = own_model.model_file(tmp_path / "others.safetensors", "others", tmp_path / "models", limits, labels)
    both = [Subject(path.stem, classify.open_model(str(path), "pretrained", limits), BATCH) for path in (pets, others)]
    for label in ("parrot", "tortoise"):
        (tmp_path / "set" / label).mkdir(parents=True)
        Image.new("RGB", (400, 300), "teal").save(tmp_path / "set" / label / "1.png")
    found = evaluate.evaluate(both, evaluate.open_pictures(tmp_path / "set", load.find(str(pets)), limits), limits)
    assert found.disagreeing == 2
    for disagreement, true in zip(found.disagreements, (1, 2), strict=True):
        assert disagreement.true == true
        assert [(opinion.subject, opinion.answer) for opinion in disagreement.opinions] == [("pets", 1), ("others", 0)]
        with Image.open(io.BytesIO(base64.b64decode(disagreement.thumbnail))) as small:
            assert max(small.size) == evaluate.THUMBNAIL


def test_progress_goes_to_the_end(pictures: LabelledSet, opened: tuple[Subject, ...], limits: Settings) -> None:
    events: list[Event] = []
    evaluate.evaluate(opened[:1], pictures, limits, events.append)
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert events[-1] == Event(f"{PICTURES + 2} of {PICTURES + 2} pictures", 1.0)


def test_an_archive_gives_the_folders_figures(
    folder: Path, opened: tuple[Subject, ...], limits: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "pictures.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        archive.add(folder, "pictures")

    def figures(where: Path) -> Any:
        found = evaluate.evaluate(opened[:2], evaluate.open_pictures(where, SPEC, limits), limits)
        return [dataclasses.replace(result.score, images_per_second=0, confusion=()) for result in found.results]

    assert figures(path) == figures(folder)


def test_a_set_of_one_class_is_a_set(tmp_path: Path, opened: tuple[Subject, ...], limits: Settings) -> None:
    (tmp_path / "tabby").mkdir()
    Image.open(embedded.SAMPLES / "chelsea.png").save(tmp_path / "tabby" / "1.png")
    found = evaluate.evaluate(opened[:2], evaluate.open_pictures(tmp_path, SPEC, limits), limits)
    assert list(found.results[0].score.per_class) == ["tabby"]
    assert found.results[0].proof is None
    proof = found.results[1].proof
    assert proof is not None
    assert (proof.verdict, proof.no_verdict) == (None, verdicts.ONE_CLASS)


def test_only_broken_pictures_are_refused(tmp_path: Path, opened: tuple[Subject, ...], limits: Settings) -> None:
    (tmp_path / "tabby").mkdir()
    (tmp_path / "tabby" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InvalidPictureSet, match="None of the 1 pictures can be read"):
        evaluate.evaluate(opened[:1], evaluate.open_pictures(tmp_path, SPEC, limits), limits)


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
    assert document["unreadable"] == ["tabby/broken.jpg", "zebra/empty.png"]


def test_the_command_tells_people(folder: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "demo", "--data", str(folder), "--weights", "random"]) == 0
    printed = capsys.readouterr()
    assert "top-1" in printed.out
    assert "Cannot be read, so not counted: 2 of the pictures. tabby/broken.jpg, zebra/empty.png" in printed.out
    assert "these figures mean nothing" in printed.out
    assert f"{PICTURES + 2} of {PICTURES + 2} pictures" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--data", "{nowhere}"], "There is no file or folder"),
        (["demo", "--data", "{strange}"], "no class 'zebras'.*Did you mean 'zebra'"),
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
    (tmp_path / "strange" / "zebras").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "strange" / "zebras" / "1.png")
    places = {"folder": folder, "nowhere": tmp_path / "nowhere", "strange": tmp_path / "strange"}
    assert main(["evaluate", *(argument.format(**places) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(message, captured.err.splitlines()[-1])


def test_nothing_of_dask_is_imported_without_a_scheduler(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = write_pictures(tmp_path / "pictures", 2)
    code = (
        "import sys; from deploy_core.cli.main import main; "
        f"assert main(['evaluate', 'demo', '--data', {str(folder)!r}]) == 0; "
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment, cwd=PROJECT)


@pytest.fixture(scope="module")
def fifth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fifth of the labelled photographs, by name: a folder for each class."""
    archive = IMAGENET / "labelled_500.tar"
    if not archive.is_file():
        pytest.skip("the labelled photographs of shared/imagenet are not beside this checkout")
    folder = tmp_path_factory.mktemp("imagenet") / "fifth"
    with tarfile.open(archive) as tar:
        files = sorted((member for member in tar if member.isfile()), key=lambda member: member.name)
        for member in files[::5]:
            tar.extract(member, folder, filter="data")
    return folder


def plain_scores(folder: Path) -> tuple[float, float]:
    """Top-1 and top-5 of the shipped weights by timm and torchvision alone, as the tutorial asks a model."""
    module = timm.create_model("deit_tiny_distilled_patch16_224").eval()
    module.load_state_dict(load_file(embedded.WEIGHTS))
    prepare = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
        ]
    )
    ids = ImageNetInfo().label_names()
    places = []
    for path in sorted(folder.rglob("*.*")):
        with Image.open(path) as picture, torch.inference_mode():
            order = module(prepare(picture.convert("RGB"))[None])[0].argsort(descending=True)
        places.append(order.tolist().index(ids.index(path.parent.name)))
    return np.mean([place == 0 for place in places]).item(), np.mean([place < 5 for place in places]).item()


def test_the_shipped_weights_score_what_a_plain_computation_gives(fifth: Path, limits: Settings) -> None:
    subject = open_subject("demo", "demo", "pretrained", limits)
    found = evaluate.evaluate([subject], evaluate.open_pictures(fifth, SPEC, limits), limits)
    figures = found.results[0].score
    assert (found.count, found.unreadable) == (100, ())
    assert (figures.top1, figures.top5) == pytest.approx(plain_scores(fifth))
    saved = read_evaluation(embedded.SAVED_EVALUATION).results[0].score
    assert saved.top1_interval[0] <= figures.top1 <= saved.top1_interval[1]
    low, high = shares.wilson(round(figures.top5 * found.count), found.count)
    assert low <= saved.top5 <= high


@pytest.fixture(scope="module")
def saved() -> Evaluation:
    return read_evaluation(embedded.SAVED_EVALUATION)


def test_the_saved_evaluation_is_of_the_embedded_model_in_every_format(saved: Evaluation) -> None:
    assert (saved.model, saved.weights, saved.data, saved.count) == ("demo", "pretrained", "labelled_500.tar", 500)
    assert [result.subject for result in saved.results] == RUN_HERE
    assert saved.labels == catalogue.labels(SPEC)


def test_the_card_states_the_saved_evaluation(saved: Evaluation) -> None:
    card = (embedded.FOLDER / "MODEL_CARD.md").read_text()
    assert sha256(embedded.WEIGHTS) in card
    assert measure.table(saved) in card


def test_no_file_surely_loses_half_a_point(saved: Evaluation) -> None:
    changes = [result.change for result in saved.results if result.change]
    assert len(changes) == len(RUN_HERE) - 1
    assert all(change.interval[1] > -0.005 for change in changes)


def test_folders_of_no_class_are_left_out_where_one_agrees(
    folder: Path, opened: tuple[Subject, ...], limits: Settings, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "set")
    (tmp_path / "set" / "unicorn").mkdir()
    Image.open(embedded.SAMPLES / "chelsea.png").save(tmp_path / "set" / "unicorn" / "1.png")
    with pytest.raises(UnknownClasses, match="unicorn"):
        evaluate.open_pictures(tmp_path / "set", SPEC, limits)
    pictures = evaluate.open_pictures(tmp_path / "set", SPEC, limits, skip_unknown=True)
    found = evaluate.evaluate(opened[:1], pictures, limits)
    assert found.left_out == ("unicorn",)
    assert found.count == evaluate.evaluate(opened[:1], evaluate.open_pictures(folder, SPEC, limits), limits).count


def test_a_set_of_unknown_folders_only_is_refused_however_one_agrees(tmp_path: Path, limits: Settings) -> None:
    (tmp_path / "unicorn").mkdir()
    Image.open(embedded.SAMPLES / "chelsea.png").save(tmp_path / "unicorn" / "1.png")
    with pytest.raises(UnknownClasses, match="unicorn"):
        evaluate.open_pictures(tmp_path, SPEC, limits, skip_unknown=True)
