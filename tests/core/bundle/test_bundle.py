"""A bundle holds what an app needs, says what is true, and is read as something a stranger sent."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from deploy_core import embedded
from deploy_core.bundle.check import verify
from deploy_core.bundle.code import app_code, code_values
from deploy_core.bundle.contents import APP_CODE, COMMON, CONTENTS, ENGINE_TIE, SUMS, TENSOR
from deploy_core.bundle.preprocessing import preprocessing_document
from deploy_core.bundle.sample import known_answer
from deploy_core.bundle.unpack import LARGEST_PIECE
from deploy_core.bundle.write import write
from deploy_core.errors import FormatUnavailable, InvalidArtifact
from deploy_core.files import sha256
from deploy_core.formats import FORMATS, Format
from deploy_core.inference import classify
from deploy_core.models import catalogue, load
from deploy_core.pictures import decode, preprocess
from deploy_core.settings import Settings
from deploy_core.types import (
    Artifact,
    BuildResult,
    Delegation,
    Finding,
    KnownAnswer,
    Preprocessing,
    Seconds,
    Verdict,
)
from tests import proofs
from tests.whole_build import WholeBuild

PROJECT = Path(__file__).parents[3]
SPEC = load.find("demo")
LABELS = catalogue.labels(SPEC)
PICTURE = embedded.samples()[0].path
NUMBERS = 3 * SPEC.input_size**2
SQUASHED = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.25, 0.3, 0.35), interpolation="hamming", crop_mode="squash")
QUICK = ("original", "scripted", "quantized", "optimized", "lite")
CODE_FOLDERS = sorted(folder.name for folder in APP_CODE.iterdir() if folder.is_dir() and folder != COMMON)


@dataclasses.dataclass(frozen=True)
class Built:
    """A file on disk, what it answered, and what a build says of it."""

    path: Path
    artifact: Artifact
    result: BuildResult
    known: KnownAnswer

    def write(self, out: Path, **changes: Any) -> Path:
        values: dict[str, Any] = {
            "path": self.path,
            "artifact": self.artifact,
            "build": self.result,
            "known": self.known,
            "preprocessing": SPEC.preprocessing,
            "out": out,
        }
        write(**(values | changes))
        return out


def artifact_of(row: Format, path: Path) -> Artifact:
    return Artifact(
        format=row.key,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        seconds=Seconds(1, 1, 1),
        proof=proofs.SAME,
        disagrees=False,
        delegation=None,
        findings=(),
    )


def result_of(artifact: Artifact, weights: str = "pretrained") -> BuildResult:
    return BuildResult("demo", weights, "qnnpack", "default", (artifact,), ())


@pytest.fixture(scope="module")
def built(whole_build: WholeBuild) -> dict[str, Built]:
    found = {}
    for key in QUICK:
        path = whole_build.path(key)
        artifact = artifact_of(FORMATS[key], path)
        found[key] = Built(path, artifact, result_of(artifact), known_answer(path, artifact, SPEC, Settings()))
    return found


@pytest.fixture(scope="module")
def lite(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built["lite"].write(tmp_path_factory.mktemp("lite") / "demo_lite_bundle.zip")


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(pieces: dict[str, bytes], out: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in pieces.items():
            archive.writestr(name, data)
    return out


def with_right_sums(pieces: dict[str, bytes]) -> dict[str, bytes]:
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in pieces.items() if name != SUMS)
    return {**pieces, SUMS: sums.encode()}


def changed(pieces: dict[str, bytes], name: str, **values: Any) -> dict[str, bytes]:
    """The pieces with fields of a JSON document changed, and the sums made right again."""
    document = json.loads(pieces[name]) | values
    return with_right_sums({**pieces, name: json.dumps(document).encode()})


@pytest.mark.parametrize("key", QUICK)
def test_a_bundle_says_what_is_true(key: str, built: dict[str, Built], tmp_path: Path) -> None:
    one, row = built[key], FORMATS[key]
    pieces = contents(one.write(tmp_path / "bundle.zip"))
    assert set(CONTENTS) | {one.artifact.file} <= set(pieces)
    assert pieces[one.artifact.file] == one.path.read_bytes()
    assert pieces["labels.txt"].decode().splitlines() == list(LABELS)
    assert pieces["test_input.bin"] == one.known.input

    how = json.loads(pieces["preprocessing.json"])
    assert (how["width"], how["height"], how["resize_short_side"], how["center_crop"]) == (224, 224, 256, 224)
    assert "the short side is 256 pixels" in " ".join(how["in_words"])
    assert (tuple(how["mean"]), tuple(how["std"])) == (SPEC.preprocessing.mean, SPEC.preprocessing.std)

    expected = json.loads(pieces["expected.json"])
    probabilities = torch.tensor(one.known.answers[0].logits).softmax(0)
    assert expected["picture"] == PICTURE.name
    assert expected["shape"] == [1, 3, 224, 224]
    assert expected["logits"] == list(one.known.answers[0].logits)
    assert expected["tolerance"] == {"cosine": row.least_cosine, "same_top1": True, "near_tie": ENGINE_TIE}
    assert [answer["index"] for answer in expected["top"]] == probabilities.topk(5).indices.tolist()
    for answer in expected["top"]:
        assert answer["label"] == LABELS[answer["index"]]
        assert answer["probability"] == pytest.approx(float(probabilities[answer["index"]]), abs=1e-6)

    versions = json.loads(pieces["versions.json"])
    assert (versions["model"], versions["format"], versions["weights"]) == ("demo", key, "pretrained")
    assert (versions["bytes"], versions["sha256"]) == (one.artifact.bytes, one.artifact.sha256)
    assert versions["packages"] == row.versions()
    assert versions["engine"] == ("qnnpack" if "engine" in row.options else None)
    assert [runtime["install"] for runtime in versions["runtimes"]] == [runtime.install for runtime in row.runtimes]

    readme = pieces["README.md"].decode()
    for fact in (
        one.artifact.file,
        one.artifact.sha256,
        row.summary,
        SPEC.title,
        "0.999912",
        "Apache-2.0",
        "distilled the model from EfficientNet-Lite0",
    ):
        assert fact in readme


def test_where_pictures_are_squashed_both_sides_are_named() -> None:
    how = preprocessing_document(SQUASHED)
    assert (how["width"], how["resize_width"], how["resize_height"], how["center_crop"]) == (32, 36, 36, 32)
    assert "the whole of it to 36 x 36" in " ".join(how["in_words"])
    assert "resize_short_side" not in how


def test_the_sums_hold(lite: Path, tmp_path: Path) -> None:
    pieces = contents(lite)
    lines = pieces.pop("SHA256SUMS").decode().splitlines()
    assert {line.split("  ")[1]: line.split("  ")[0] for line in lines} == {
        name: hashlib.sha256(data).hexdigest() for name, data in pieces.items()
    }
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("sha256sum is not installed")
    with zipfile.ZipFile(lite) as archive:
        archive.extractall(tmp_path)
    subprocess.run([program, "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)


def test_a_bundle_is_stored_and_equal_builds_give_equal_bytes(built: dict[str, Built], tmp_path: Path) -> None:
    first = built["scripted"].write(tmp_path / "first.zip")
    second = built["scripted"].write(tmp_path / "second.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        entries = archive.infolist()
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {stat.S_IFMT(entry.external_attr >> 16) for entry in entries} == {stat.S_IFREG}


def test_writing_imports_no_torch(built: dict[str, Built], tmp_path: Path) -> None:
    one = built["lite"]
    # A verdict is no Python when it is printed.
    artifact = dataclasses.replace(one.artifact, proof=proofs.proof(verdict=None))
    result = result_of(artifact)
    script = f"""
import sys
from pathlib import Path
from deploy_core.bundle import write
from deploy_core.models import catalogue, load
from deploy_core.types import *
write.write(Path({str(one.path)!r}), {artifact!r}, {result!r}, {one.known!r},
            load.find("demo").preprocessing, Path({str(tmp_path / "bundle.zip")!r}))
print(*sys.modules)
"""
    command = [sys.executable, "-"]
    done = subprocess.run(command, cwd=PROJECT, input=script, capture_output=True, text=True, check=True)
    assert {"torch", "timm", "torchvision", "streamlit"} & set(done.stdout.split()) == set()
    other = one.write(tmp_path / "other.zip", artifact=artifact, build=result)
    assert (tmp_path / "bundle.zip").read_bytes() == other.read_bytes()


@pytest.mark.parametrize("folder", CODE_FOLDERS)
def test_app_code_is_filled_in(
    folder: str, built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = built["lite"]
    row = dataclasses.replace(FORMATS["lite"], app_code=folder)
    monkeypatch.setitem(FORMATS, "lite", row)
    pieces = contents(one.write(tmp_path / "bundle.zip"))
    squashed = contents(one.write(tmp_path / "squashed.zip", preprocessing=SQUASHED))
    code = {name: data.decode() for name, data in pieces.items() if "/" in name}
    whole = "\n".join(code.values())
    assert code
    if "android/Classifier.kt" in code:
        assert "org.pytorch:pytorch_android_lite:2.1.0" in code["android/Classifier.kt"]
        assert 'INTERPOLATION = "bicubic"' in code["android/Resize.kt"]
        assert 'CROP_MODE = "center"' in code["android/Picture.kt"]
        assert 'INTERPOLATION = "hamming"' in squashed["android/Resize.kt"].decode()
        assert 'CROP_MODE = "squash"' in squashed["android/Picture.kt"].decode()
    for said in (one.artifact.file, "0.485, 0.456, 0.406", "0.229, 0.224, 0.225", "labels.txt"):
        assert said in whole
    assert not any("${" in data.decode() for name, data in pieces.items() if name not in (one.artifact.file, TENSOR))
    assert "$$" not in whole
    assert max(text.count("\n") for text in code.values()) <= 90
    assert all(f"`{name}`" in pieces["README.md"].decode() for name in code)
    assert verify(tmp_path / "bundle.zip", Settings()).holds


@pytest.mark.parametrize("row", FORMATS.values(), ids=FORMATS)
def test_every_row_names_app_code_that_is_there(row: Format) -> None:
    assert row.app_code is None or row.app_code in CODE_FOLDERS
    values = code_values(row, artifact_of(row, Path(__file__)), SPEC, SPEC.preprocessing)
    for text in app_code(row, values).values():
        assert b"${" not in text


def test_without_app_code_there_is_none(
    built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "lite", dataclasses.replace(FORMATS["lite"], app_code=None))
    assert not [name for name in contents(built["lite"].write(tmp_path / "bundle.zip")) if "/" in name]


def test_the_python_code_answers_as_the_library(
    built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "original", dataclasses.replace(FORMATS["original"], app_code="timm"))
    with zipfile.ZipFile(built["original"].write(tmp_path / "bundle.zip")) as archive:
        archive.extractall(tmp_path / "unpacked")
    script = tmp_path / "unpacked" / "python" / "use.py"
    ast.parse(script.read_text())
    picture = embedded.SAMPLES / "coffee.png"
    done = subprocess.run([sys.executable, script, picture], capture_output=True, text=True, check=True)
    prediction = classify.open_model("demo", "pretrained", Settings()).classify(str(picture), Settings())
    printed = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert printed == [[f"{answer.probability:.2%}", answer.label] for answer in prediction.top]


def test_labels_with_odd_characters_survive(built: dict[str, Built], tmp_path: Path) -> None:
    odd = (
        "Schiff, größer",
        "$dollar ${brace}",
        '"quoted" \\ back',
        " spaced ",
        "犬🐕",
        "a\u2028b\x85c",
        "d'e",
        "f\tg",
    )
    logits = built["lite"].known.answers[0].logits
    best_first = sorted(range(len(logits)), key=lambda index: -logits[index])
    named = dict(zip(best_first, odd, strict=False))
    labels = tuple(named.get(index, f"class {index}") for index in range(len(logits)))
    pieces = contents(
        built["lite"].write(tmp_path / "bundle.zip", known=dataclasses.replace(built["lite"].known, labels=labels))
    )
    assert pieces["labels.txt"].decode() == "".join(f"{label}\n" for label in labels)
    assert [answer["label"] for answer in json.loads(pieces["expected.json"])["top"]] == list(odd[:5])
    assert verify(tmp_path / "bundle.zip", Settings()).holds
    broken = dataclasses.replace(built["lite"].known, labels=("two\r\nlines", *labels[1:]))
    pieces = contents(built["lite"].write(tmp_path / "broken.zip", known=broken))
    assert pieces["labels.txt"].decode().split("\n")[0] == "two lines"


def test_the_readme_tells_what_is_known_of_a_file(built: dict[str, Built], tmp_path: Path) -> None:
    one = built["lite"]
    artifact = dataclasses.replace(
        one.artifact,
        disagrees=True,
        delegation=Delegation(97.5, ("aten_add", "aten_mul")),
        findings=(Finding(True, "It loads in 2.1.0."), Finding(False, "It holds an operator that 1.0 lacks.")),
    )
    readme = contents(one.write(tmp_path / "bundle.zip", artifact=artifact))["README.md"].decode()
    for fact in (
        "97.5 %",
        "aten_add, aten_mul",
        "- It loads in 2.1.0.",
        "**It holds an operator",
        "check it on pictures",
    ):
        assert fact in readme


def test_nothing_tells_where_a_checkpoint_lies(built: dict[str, Built], tmp_path: Path) -> None:
    one = built["lite"]
    result = dataclasses.replace(one.result, weights="/home/somebody/secret/weights.pth")
    pieces = contents(one.write(tmp_path / "bundle.zip", build=result))
    assert not any(b"secret" in data for data in pieces.values())
    assert json.loads(pieces["versions.json"])["weights"] == "checkpoint"


def test_the_top1_of_random_weights_is_not_asked_for(built: dict[str, Built], tmp_path: Path) -> None:
    one = built["lite"]
    result = dataclasses.replace(one.result, weights="random")
    pieces = contents(one.write(tmp_path / "bundle.zip", build=result))
    assert json.loads(pieces["expected.json"])["tolerance"]["same_top1"] is False
    assert "the same first answer" not in pieces["README.md"].decode()


def test_the_sample_is_the_test_picture(built: dict[str, Built]) -> None:
    picture = decode.decode(PICTURE.read_bytes(), Settings())
    tensor = preprocess.preprocess(picture, SPEC.preprocessing)
    assert built["lite"].known.input == tensor.astype("<f4").tobytes()
    assert len(built["lite"].known.answers[0].logits) == SPEC.classes


@pytest.mark.parametrize("change", [b"", b"more"])
def test_a_file_that_is_not_what_was_built_is_not_zipped(
    change: bytes, built: dict[str, Built], tmp_path: Path
) -> None:
    one = built["lite"]
    path = tmp_path / one.path.name
    path.write_bytes(one.path.read_bytes()[:-4] + change)
    with pytest.raises(InvalidArtifact, match="not the file that was built"):
        one.write(tmp_path / "bundle.zip", path=path)
    with pytest.raises(InvalidArtifact, match="There is no artifact"):
        one.write(tmp_path / "bundle.zip", path=tmp_path / "nothing.ptl")
    assert [path.name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("key", QUICK)
def test_a_bundle_holds(key: str, built: dict[str, Built], tmp_path: Path) -> None:
    check = verify(built[key].write(tmp_path / "bundle.zip"), Settings())
    assert (check.format, check.file) == (key, built[key].artifact.file)
    assert check.holds
    known = built[key].known.answers
    assert [one.engine for one in check.engines] == [answer.engine for answer in known]
    assert {one.verdict for one in check.engines} == {Verdict.SAME}
    assert check.engines[0].cosine == pytest.approx(1)
    assert check.engines[0].max_abs_difference < 1e-4
    assert all(one.cosine >= FORMATS[key].least_cosine for one in check.engines)
    assert "answers as its bundle states" in check.text


def test_other_logits_do_not_hold(lite: Path, tmp_path: Path) -> None:
    pieces = contents(lite)
    logits = json.loads(pieces["expected.json"])["logits"]
    turned = pack(changed(pieces, "expected.json", logits=logits[::-1]), tmp_path / "turned.zip")
    check = verify(turned, Settings())
    assert not check.holds
    assert all(one.cosine < 0.99 for one in check.engines)
    assert "does not answer" in check.text

    two = sorted(range(len(logits)), key=lambda index: -logits[index])[:2]
    swapped = [*logits]
    swapped[two[0]], swapped[two[1]] = logits[two[1]], logits[two[0]]
    loose = {"cosine": -1.0, "same_top1": True, "near_tie": 0.5}
    path = pack(changed(pieces, "expected.json", logits=swapped, tolerance=loose), tmp_path / "swapped.zip")
    check = verify(path, Settings())
    assert not check.holds
    assert {one.verdict for one in check.engines} == {Verdict.CHANGES}
    loose["near_tie"] = 100.0
    path = pack(changed(pieces, "expected.json", logits=swapped, tolerance=loose), tmp_path / "tie.zip")
    assert {one.verdict for one in verify(path, Settings()).engines} == {Verdict.UNDECIDED}
    loose["same_top1"] = False
    path = pack(changed(pieces, "expected.json", logits=swapped, tolerance=loose), tmp_path / "loose.zip")
    assert verify(path, Settings()).holds


def test_logits_that_overflow_do_not_hold(lite: Path, tmp_path: Path) -> None:
    path = pack(changed(contents(lite), "expected.json", logits=[1e300] * 1000), tmp_path / "huge.zip")
    assert not verify(path, Settings()).holds


def test_a_flipped_byte_of_the_artifact_is_noticed(built: dict[str, Built], lite: Path, tmp_path: Path) -> None:
    path = tmp_path / "flipped.zip"
    data = bytearray(lite.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidArtifact, match="damaged"):
        verify(path, Settings())

    pieces = contents(lite)
    name = built["lite"].artifact.file
    flipped = bytearray(pieces[name])
    flipped[1000] ^= 1
    with pytest.raises(InvalidArtifact, match="is not what SHA256SUMS says"):
        verify(pack({**pieces, name: bytes(flipped)}, path), Settings())


@pytest.mark.parametrize("size", [0, 10, 1000, -10, -1000])
def test_a_bundle_that_is_cut_off_is_refused(size: int, lite: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(lite.read_bytes()[:size])
    with pytest.raises(InvalidArtifact, match="damaged or no zip"):
        verify(path, Settings())


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.zip", Path("\0")):
        with pytest.raises(InvalidArtifact, match="There is no bundle"):
            verify(path, Settings())


@pytest.mark.parametrize(
    "name",
    [
        "../evil.ptl",
        "/etc/evil",
        "a/../../evil",
        "..",
        ".hidden",
        "folder/",
        "sub/evil.txt",
        "C:\\evil",
        "evil\nname",
        "android/../../evil",
        "x" * 300 + "/",
    ],
)
def test_names_that_do_not_belong_are_refused(name: str, lite: Path, tmp_path: Path) -> None:
    path = pack(with_right_sums({**contents(lite), name: b"evil"}), tmp_path / "bundle.zip")
    with pytest.raises(InvalidArtifact, match="does not belong") as caught:
        verify(path, Settings())
    assert len(str(caught.value)) < 250
    assert [path] == list(tmp_path.iterdir())


def test_a_second_artifact_is_refused(lite: Path, tmp_path: Path) -> None:
    path = pack(with_right_sums({**contents(lite), "evil.ptl": b"evil"}), tmp_path / "bundle.zip")
    with pytest.raises(InvalidArtifact, match="should hold one artifact"):
        verify(path, Settings())


def link(pieces: dict[str, bytes], out: Path) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in pieces.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((stat.S_IFLNK if name == "labels.txt" else stat.S_IFREG) | 0o777) << 16
            archive.writestr(entry, data)
    return out


def test_links_are_refused(lite: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match="is a link"):
        verify(link(contents(lite), tmp_path / "bundle.zip"), Settings())


def test_compressed_entries_are_refused(lite: Path, tmp_path: Path) -> None:
    pieces = {**contents(lite), "labels.txt": b"\0" * 50_000_000}
    path = pack(pieces, tmp_path / "bomb.zip", zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidArtifact, match="only stores"):
        verify(path, Settings())


def test_pieces_that_are_too_large_are_refused(lite: Path, tmp_path: Path) -> None:
    path = pack({**contents(lite), "labels.txt": b"\0" * (LARGEST_PIECE + 1)}, tmp_path / "large.zip")
    with pytest.raises(InvalidArtifact, match="far more than it needs"):
        verify(path, Settings())


def test_an_artifact_beyond_the_limit_is_refused(lite: Path) -> None:
    with pytest.raises(InvalidArtifact, match="more than is unpacked here"):
        verify(lite, Settings(store_bytes=1000))


def test_an_artifact_of_another_size_than_stated_is_refused(lite: Path, tmp_path: Path) -> None:
    path = pack(changed(contents(lite), "versions.json", bytes=7), tmp_path / "bundle.zip")
    with pytest.raises(InvalidArtifact, match="and versions.json says 7"):
        verify(path, Settings())


def test_entries_that_claim_more_than_there_is_are_refused(built: dict[str, Built], lite: Path, tmp_path: Path) -> None:
    """A size in the central directory that reaches over the end of the file."""
    size = built["lite"].artifact.bytes
    path = tmp_path / "bundle.zip"
    path.write_bytes(lite.read_bytes().replace(struct.pack("<II", size, size), struct.pack("<II", size * 9, size * 9)))
    with pytest.raises(InvalidArtifact, match="overlap|damaged"):
        verify(path, Settings())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_twice_is_refused(lite: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(lite, tmp_path / "bundle.zip"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "other labels")
    with pytest.raises(InvalidArtifact, match="in the bundle twice"):
        verify(path, Settings())


@pytest.mark.parametrize("name", CONTENTS)
def test_a_missing_piece_is_told(name: str, lite: Path, tmp_path: Path) -> None:
    pieces = contents(lite)
    del pieces[name]
    with pytest.raises(InvalidArtifact, match=f"lacks {name}"):
        verify(pack(pieces, tmp_path / "bundle.zip"), Settings())


def test_a_missing_artifact_is_told(built: dict[str, Built], lite: Path, tmp_path: Path) -> None:
    pieces = contents(lite)
    del pieces[built["lite"].artifact.file]
    with pytest.raises(InvalidArtifact, match="should hold one artifact"):
        verify(pack(with_right_sums(pieces), tmp_path / "bundle.zip"), Settings())


def damage(name: str, data: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda pieces: with_right_sums({**pieces, name: data})


def restate(name: str, **values: Any) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda pieces: changed(pieces, name, **values)


def falsify(name: str, data: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """A change that the sums do not follow."""
    return lambda pieces: {**pieces, name: data}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (damage("versions.json", b"{"), "versions.json is damaged"),
        (damage("versions.json", b"\xff\xfe"), "versions.json is damaged"),
        (damage("expected.json", b"[" * 100_000), "expected.json is damaged"),
        (damage("expected.json", b"[]"), "no Expected of this version"),
        (damage("versions.json", b"{}"), "no Versions of this version"),
        (restate("versions.json", bytes=1e999), "no Versions of this version"),
        (restate("versions.json", runtimes=7), "no Versions of this version"),
        (restate("versions.json", format="no-such-format"), "a format or a file"),
        (restate("versions.json", format="onnx"), "a format or a file"),
        (restate("versions.json", file="../evil.ptl"), "a format or a file|should hold one"),
        (restate("versions.json", model="no-such-model"), "names a model"),
        (restate("versions.json", model="deit_base_patch16_384"), "is no input of"),
        (restate("expected.json", logits=[1.0]), "is no answer of"),
        (restate("expected.json", logits=[float("nan")] * 1000), "is no answer of"),
        (restate("expected.json", logits=["many"]), "no Expected of this version"),
        (damage("test_input.bin", b"abc"), "is no input of"),
        (damage("test_input.bin", struct.pack("<f", float("nan")) * NUMBERS), "is no input of"),
        (falsify("labels.txt", b"other\n"), "'labels.txt' is not what SHA256SUMS says"),
        (falsify("README.md", b"other\n"), "'README.md' is not what SHA256SUMS says"),
        (falsify("SHA256SUMS", b"\xff nonsense"), "is not what SHA256SUMS says"),
        (falsify("SHA256SUMS", b""), "is not what SHA256SUMS says"),
    ],
)
def test_what_does_not_fit_is_told(
    spoil: Callable[[dict[str, bytes]], dict[str, bytes]], told: str, lite: Path, tmp_path: Path
) -> None:
    path = pack(spoil(contents(lite)), tmp_path / "bundle.zip")
    with pytest.raises(InvalidArtifact, match=told) as caught:
        verify(path, Settings())
    assert caught.value.problem.endswith(".")
    assert caught.value.remedy.endswith(".")


def test_an_artifact_that_is_no_program_is_told(built: dict[str, Built], lite: Path, tmp_path: Path) -> None:
    pieces = {**contents(lite), built["lite"].artifact.file: b"garbage"}
    path = pack(changed(pieces, "versions.json", bytes=7), tmp_path / "bundle.zip")
    with pytest.raises(InvalidArtifact, match="is damaged or no TorchScript file"):
        verify(path, Settings())


def test_a_format_whose_packages_are_missing_is_told(lite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(FORMATS["lite"], packages={"no-such-package": "1.0"})
    monkeypatch.setitem(FORMATS, "lite", row)
    with pytest.raises(FormatUnavailable, match="no-such-package==1.0"):
        verify(lite, Settings())


def test_verifying_leaves_nothing_behind(lite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert verify(lite, Settings()).holds
    with pytest.raises(InvalidArtifact):
        verify(lite, Settings(store_bytes=1000))
    assert list(tmp_path.iterdir()) == []
