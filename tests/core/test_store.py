from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deploy_core import build, embedded, profile
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.store import Store
from deploy_core.types import BuildRequest

REQUEST = BuildRequest("demo", "pretrained", ("scripted",))


@pytest.fixture
def store(limits: Settings) -> Store:
    return Store(limits)


@pytest.fixture
def built(store: Store, limits: Settings) -> Path:
    folder = store.folder(REQUEST)
    build.build(REQUEST, folder, limits)
    return folder


def test_a_finished_build_is_found_by_what_was_asked_for(store: Store, built: Path) -> None:
    for request in (REQUEST, dataclasses.replace(REQUEST, formats=("original", "scripted"))):
        found = store.find(request)
        assert found is not None
        assert found.folder == built
    newest = store.newest("demo", "pretrained")
    assert newest is not None
    assert newest.folder == built
    assert newest.report() is None
    assert store.newest("demo", "random") is None


@pytest.mark.parametrize(
    "change",
    [
        {"model": "deit_tiny_patch16_224"},
        {"weights": "random"},
        {"formats": ("lite",)},
        {"engine": "x86"},
        {"optimize": "tutorial"},
    ],
)
def test_another_request_is_another_folder(change: dict[str, object], store: Store) -> None:
    other = BuildRequest(**dataclasses.asdict(REQUEST) | change)
    assert store.folder(other) != store.folder(REQUEST)
    assert store.find(other) is None


def test_other_weights_are_another_build(
    store: Store, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrained = tmp_path / "demo.safetensors"
    retrained.write_bytes(embedded.WEIGHTS.read_bytes() + b" ")
    monkeypatch.setattr(embedded, "WEIGHTS", retrained)
    assert store.find(REQUEST) is None
    assert store.newest("demo", "pretrained") is None


def test_a_build_with_a_file_missing_is_none(store: Store, built: Path) -> None:
    (built / "demo_scripted.pt").unlink()
    assert store.find(REQUEST) is None


def test_only_files_that_a_build_lists_are_handed_out(store: Store, built: Path) -> None:
    name = FORMATS["scripted"].filename("demo")
    assert store.file(built.name, name) == built / name
    for key, file in [
        (built.name, build.MANIFEST),
        (built.name, f"../{built.name}/{name}"),
        (f"../artifacts/{built.name}", name),
        ("..", name),
        ("", ""),
        (built.name, "/etc/passwd"),
    ]:
        assert store.file(key, file) is None


def test_a_profile_stays_with_its_build(store: Store, built: Path, limits: Settings) -> None:
    report = profile.profile(built, limits, 1, 1)
    profile.save(report, built / profile.REPORT)
    found = store.find(REQUEST)
    assert found is not None
    assert found.report() == report


def test_an_uploaded_checkpoint_is_kept_once_under_its_hash(store: Store) -> None:
    first = store.keep_checkpoint("mine.pth", b"weights")
    assert first == store.keep_checkpoint("other name.pth", b"weights")
    assert first.read_bytes() == b"weights"
    assert first.suffix == ".pth"
    assert store.keep_checkpoint("../../evil.pth", b"others").parent == first.parent
