"""``python -m deploy_core.training``, from photographs to a model that classifies, with a tiny teacher and student."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from deploy_core import embedded
from deploy_core.cli.main import main as deploy_core_main
from deploy_core.errors import DeployError, InvalidCheckpoint, InvalidPictureSet
from deploy_core.models import catalogue, checkpoints
from deploy_core.models.spec import Architecture
from deploy_core.pictures import decode, preprocess
from deploy_core.settings import Settings
from deploy_core.training import heads, photographs, student, teacher
from deploy_core.training.__main__ import main
from deploy_core.training.recipe import Phase, Recipe
from deploy_core.training.run import IMAGENET, Job, train
from deploy_core.training.teacher import Teacher
from deploy_core.types import Preprocessing

SHAPE = Architecture("distilled", width=32, depth=2, heads=1, hidden=64, patch=8, size=32, classes=1000)
TINY = Recipe(
    student=SHAPE, samples=320, phases=(Phase(0.0, 32, 0.5),), teacher_size=32, batch=16, rate=4e-2, decay=0.9
)


@pytest.fixture
def tiny_teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(timm.create_model("test_efficientnet"))


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of noise with an orange or a violet tint."""
    folder = tmp_path_factory.mktemp("shades")
    generator = torch.Generator().manual_seed(3)
    for name, tint in (("orange", (90, 40, 0)), ("violet", (50, 0, 90))):
        for part, count in (("train", 12), ("test", 10)):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                noise = torch.randint(0, 160, (36, 48, 3), generator=generator) + torch.tensor(tint)
                Image.fromarray(noise.to(torch.uint8).numpy()).save(folder / part / name / f"{number}.png")
    return folder


def test_own_classes_are_learnt_imported_and_classified(
    shades: Path, tmp_path: Path, home: Path, tiny_teacher: Teacher, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    out = tmp_path / "run"
    job = Job(shades / "train", out, TINY, own_classes=True, test=shades / "test")
    train(job, tiny_teacher, "cpu", Settings(), lines.append)
    assert lines[1] == "24 photographs on cpu, 2 classes; 0 cannot be read"
    assert lines[2].startswith("The teacher's new head is right about ")
    assert lines[-1] == f"{out / 'weights.safetensors'} is written, top-1 100.0%, top-5 100.0% of 20 test pictures"
    assert (out / "labels.txt").read_text() == "orange\nviolet\n"

    models = str(tmp_path / "models")
    files = [str(out / "weights.safetensors"), "--labels", str(out / "labels.txt"), "--heads", "1"]
    assert deploy_core_main(["import", *files, "--out", models]) == 0
    picture = str(shades / "test" / "violet" / "3.png")
    assert deploy_core_main(["classify", picture, "--model", f"{models}/weights.safetensors", "--top", "1"]) == 0
    assert "violet" in capsys.readouterr().out


def test_without_labels_imagenet_is_learnt_from_trained_weights(
    shades: Path, tmp_path: Path, tiny_teacher: Teacher
) -> None:
    start = tmp_path / "start.safetensors"
    save_file(student.new_student(SHAPE, 7).state_dict(), start)
    lines: list[str] = []
    train(
        Job(shades, tmp_path / "run", replace(TINY, samples=32), start=start),
        tiny_teacher,
        "cpu",
        Settings(),
        lines.append,
    )
    assert lines[1] == "44 photographs on cpu, 1000 classes; 0 cannot be read"
    assert (tmp_path / "run" / "labels.txt").read_text().splitlines() == list(catalogue.labels(IMAGENET))
    learnt, begun = (checkpoints.read(path).state for path in (tmp_path / "run" / "weights.safetensors", start))
    assert learnt.keys() == begun.keys()
    distances = [float((learnt[name] - begun[name]).abs().max()) for name in begun]
    assert 0 < max(distances) < 0.5


def test_the_accuracy_is_asked_for_classes_of_the_model_only(
    shades: Path, tmp_path: Path, tiny_teacher: Teacher
) -> None:
    job = Job(shades, tmp_path, TINY, test=shades / "test")
    with pytest.raises(InvalidPictureSet, match="The model has no class 'violet'"):
        train(job, tiny_teacher, "cpu", Settings(), print)


def test_trained_weights_keep_all_but_their_heads_for_other_classes(tmp_path: Path) -> None:
    save_file(student.new_student(replace(SHAPE, classes=5), 7).state_dict(), tmp_path / "five.safetensors")
    shape = student.shape_of(tmp_path / "five.safetensors")
    assert shape == replace(SHAPE, classes=5)
    pupil = student.new_student(replace(shape, classes=2), 0)
    assert student.begin_with(pupil, tmp_path / "five.safetensors")
    begun, trained = pupil.state_dict(), checkpoints.read(tmp_path / "five.safetensors").state
    assert {name for name in begun if begun[name].shape != trained[name].shape} == {
        "head.weight", "head.bias", "head_dist.weight", "head_dist.bias",
    }  # fmt: skip
    assert all(torch.equal(begun[name], trained[name]) for name in begun if not name.startswith(student.HEADS))
    assert all(parameter.requires_grad for parameter in pupil.parameters())


def test_only_a_distilled_deit_can_begin(tmp_path: Path) -> None:
    plain = timm.create_model("deit_tiny_patch16_224", depth=1, embed_dim=64, num_heads=1, num_classes=2)
    save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    with pytest.raises(InvalidCheckpoint, match="plain.safetensors has no distillation token"):
        student.shape_of(tmp_path / "plain.safetensors")


def test_a_new_head_tells_classes_apart_by_what_the_teacher_sees(shades: Path, tiny_teacher: Teacher) -> None:
    def read(part: str) -> photographs.Photographs:
        pictures, names = photographs.open_classes(shades / part, Settings())
        return photographs.of_classes(pictures, {name: index for index, name in enumerate(names)}, 32, "cpu")

    head, right = heads.fit(*heads.features_of(tiny_teacher.features, read("train"), 32, 0), 2)
    assert right > 0.9
    tiny_teacher.give_head(head)
    unseen = read("test")
    answers = tiny_teacher(unseen.pixels / 255)
    assert answers.shape == (20, 2)
    assert unseen.labels is not None
    assert float((answers.argmax(1) == unseen.labels).float().mean()) > 0.9


def test_the_teacher_of_the_package_knows_imagenet() -> None:
    how = Preprocessing(256, 224, (0.0,) * 3, (1.0,) * 3)
    coffee = decode.decode((embedded.SAMPLES / "coffee.png").read_bytes(), Settings())
    with torch.inference_mode():
        logits = teacher.from_package()(torch.from_numpy(preprocess.preprocess(coffee, how)))
    probability, index = logits.softmax(1).max(1)
    assert catalogue.labels(IMAGENET)[int(index)] == "espresso"
    assert float(probability) > 0.9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--minutes", "1"], "The following arguments are required: --photos, --out."),
        (["--photos", "x", "--out", "y", "--minutes", "1", "--samples", "9"], "Argument --samples: not allowed with"),
        (["--photos", "x", "--out", "y", "--minutes", "0"], "Argument --minutes: 0 is not a number above 0."),
        (["--photos", "x", "--out", "y", "--samples", "9", "--batch", "-1"], "Argument --batch: -1 is not"),
        (["--photos", "x", "--out", "y", "--samples", "9", "--start", "z.pth"], "There is no checkpoint file z.pth."),
        (["--photos", "x", "--out", "y", "--samples", "9"], "There is no file or folder 'x'. Check the path."),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"deploy_core.training: {sentence}")
    assert error.count("\n") == 1


def test_without_the_package_the_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DeployError, match="pip install -r requirements-training.txt"):
        teacher.from_package()


def test_a_fitted_head_reads_features_as_they_are() -> None:
    """Far from zero and of different sizes: the head includes what was done to them while it was fitted."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(90) % 3
    features = torch.randn(90, 4, generator=generator)
    features[torch.arange(90), labels] += 4
    features = 100 + features * torch.tensor([0.1, 1.0, 10.0, 100.0])
    head, right = heads.fit(features, labels, 3)
    assert right > 0.95
    assert float((head(features).argmax(1) == labels).float().mean()) == right
