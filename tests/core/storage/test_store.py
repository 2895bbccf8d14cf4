"""The store: found by content, bounded, never half, never handed out damaged, never removed while it is read."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from deploy_core import build, embedded, files
from deploy_core.errors import DamagedArtifact, InvalidArtifact, InvalidCheckpoint, StorageFailed
from deploy_core.formats import FORMATS, engines
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from deploy_core.storage import entry, store
from deploy_core.storage.entry import Stored, address
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildRequest, EngineAnswer, KnownAnswer, Seconds
from tests import proofs
from tests.own_model import LABELS, model_file, state

REQUEST = BuildRequest("demo", "pretrained", ("scripted",))
SIZE = 100_000


@pytest.fixture
def made(limits: Settings) -> Store:
    return Store(limits)


def keep(made: Store, key: str = "scripted", request: BuildRequest = REQUEST, size: int = SIZE) -> Stored:
    """Puts a small file into the store as a build does."""
    with open_shelf(made, request) as shelf:
        row = FORMATS[key]
        with shelf.writing(row) as path:
            path.write_bytes(os.urandom(size))
        path = shelf.path(row)
        artifact = Artifact(
            format=key,
            file=path.name,
            bytes=size,
            sha256=files.sha256(path),
            seconds=Seconds(1.0, 0.1, 0.5),
            proof=proofs.SAME,
            disagrees=False,
            delegation=None,
            findings=(),
        )
        answers = (EngineAnswer("torch", (0.0, 1.0, 2.0)),)
        shelf.keep(artifact, KnownAnswer("zebra.jpg", bytes(4 * 3 * 32 * 32), answers, LABELS))
    stored = made.entry(address(request, row))
    assert stored is not None
    return stored


def test_an_artifact_is_found_by_what_made_it_whatever_else_was_asked_for(made: Store) -> None:
    stored = keep(made)
    assert stored.path.name == "demo_scripted.pt"
    assert made.find(REQUEST) == {"scripted": stored}
    assert made.find(dataclasses.replace(REQUEST, formats=("scripted", "lite"))) == {"scripted": stored}
    # Float TorchScript does not depend on the int8 options.
    assert made.find(dataclasses.replace(REQUEST, engine="x86", optimize="tutorial")) == {"scripted": stored}


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("scripted", {"model": "deit_tiny_patch16_224"}),
        ("scripted", {"weights": "random"}),
        ("quantized", {"engine": "x86"}),
        ("quantized", {"optimize": "tutorial"}),
        ("optimized", {"optimize": "tutorial"}),
    ],
)
def test_what_decides_the_content_decides_the_address(key: str, change: dict[str, str], made: Store) -> None:
    other = dataclasses.replace(REQUEST, **change)  # type: ignore[arg-type]
    assert address(other, FORMATS[key]) != address(REQUEST, FORMATS[key])


@pytest.mark.parametrize("what", ["seed", "preprocessing", "version", "weights"])
def test_seed_preprocessing_versions_and_weights_are_part_of_the_address(
    what: str, made: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy_core.formats import format
    from deploy_core.models import load

    request = dataclasses.replace(REQUEST, weights="random") if what == "seed" else REQUEST
    before = address(request, FORMATS["lite"])
    if what == "seed":
        monkeypatch.setattr(load, "RANDOM_SEED", 1)
    elif what == "preprocessing":
        spec = load.find("demo")
        other = dataclasses.replace(spec, preprocessing=dataclasses.replace(spec.preprocessing, resize=248))
        monkeypatch.setattr(load, "MODELS", {"demo": other})
    elif what == "version":
        monkeypatch.setattr(format, "_version", lambda _: "9.9")
    else:
        retrained = tmp_path / "demo.safetensors"
        retrained.write_bytes(embedded.WEIGHTS.read_bytes() + b" ")
        monkeypatch.setattr(embedded, "WEIGHTS", retrained)
    assert address(request, FORMATS["lite"]) != before


def test_the_labels_of_an_own_model_are_part_of_the_address(tmp_path: Path) -> None:
    checkpoint = tmp_path / "pets.safetensors"
    save_file(state(), checkpoint)

    def key(labels: tuple[str, ...]) -> str:
        model = model_file(checkpoint, "pets", tmp_path / "models", Settings(), Corrections(labels=labels))
        # The weights are named apart from the model file, whose header holds the labels.
        return address(BuildRequest(str(model), str(checkpoint), ("lite",)), FORMATS["lite"])

    first = key(LABELS)
    assert key(("a", "b", "c")) != first
    assert key(LABELS) == first


def test_a_checkpoint_counts_by_its_content(made: Store, tmp_path: Path) -> None:
    def key(path: Path) -> str:
        return address(dataclasses.replace(REQUEST, weights=str(path)), FORMATS["scripted"])

    (tmp_path / "a.pth").write_bytes(b"one")
    (tmp_path / "b.pth").write_bytes(b"one")
    assert key(tmp_path / "a.pth") == key(tmp_path / "b.pth")
    (tmp_path / "b.pth").write_bytes(b"other")
    assert key(tmp_path / "a.pth") != key(tmp_path / "b.pth")
    with pytest.raises(InvalidCheckpoint, match="no checkpoint file"):
        key(tmp_path / "gone.pth")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone", "record", "another version"])
def test_a_damaged_entry_is_never_handed_out(damage: str, made: Store) -> None:
    stored = keep(made)
    with made.reading(stored.key) as same:
        assert same == stored
    data = bytearray(stored.path.read_bytes())
    if damage == "truncated":
        stored.path.write_bytes(data[:-1])
    elif damage == "flipped":
        data[SIZE // 2] ^= 1
        stored.path.write_bytes(data)
    elif damage == "gone":
        stored.path.unlink()
    elif damage == "record":
        (stored.folder / entry.RECORD).write_text("{")
    else:
        record = (stored.folder / entry.RECORD).read_text()
        (stored.folder / entry.RECORD).write_text(record.replace('"scripted"', '"from the future"'))
    with (
        pytest.raises(DamagedArtifact if damage == "flipped" else InvalidArtifact, match="Build it"),
        made.reading(stored.key),
    ):
        pass
    assert made.find(REQUEST) == {}
    if damage == "flipped":
        assert not stored.folder.exists()
    assert keep(made).path.stat().st_size == SIZE


def test_the_hash_is_checked_once_for_each_state_of_the_file(made: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = keep(made)
    hashed: list[Path] = []

    def count(path: Path) -> str:
        hashed.append(path)
        return files.sha256(path)

    monkeypatch.setattr(store, "sha256", count)
    for _ in range(3):
        with made.reading(stored.key):
            pass
    assert len(hashed) == 1
    os.utime(stored.path, ns=(1, 1))
    with made.reading(stored.key):
        pass
    assert len(hashed) == 2


@pytest.mark.parametrize("key", ["", ".", "..", "../artifacts", "/etc", "no such entry", "a\0b", "x" * 5000])
def test_only_entries_are_reachable(key: str, made: Store) -> None:
    keep(made)
    assert made.entry(key) is None
    with pytest.raises(InvalidArtifact), made.reading(key):
        pass


def bounded(limits: Settings, entries: float) -> Store:
    """A store for so many of the test's entries; a build is expected to need 13 times as much as one takes."""
    return Store(dataclasses.replace(limits, store_bytes=int(entries * SIZE)))


def test_the_least_recently_used_goes_first(limits: Settings, made: Store) -> None:
    entries = [keep(made, key) for key in ("scripted", "quantized", "optimized")]
    with made.reading(entries[0].key):
        pass
    assert [stored.key for stored in made.entries()] == [entries[0].key, entries[2].key, entries[1].key]
    bounded(limits, 4).make_room(int(1.5 * SIZE))
    assert [stored.artifact.format for stored in made.entries()] == ["scripted", "optimized"]


def test_what_is_being_read_is_never_removed(limits: Settings, made: Store) -> None:
    stored = keep(made)
    with made.reading(stored.key):
        made.clear()
        made.sweep()
        with pytest.raises(StorageFailed, match="in use"):
            bounded(limits, 1.5).make_room(SIZE)
        assert stored.path.exists()
    made.clear()
    assert made.entries() == []
    assert list(made.root.iterdir()) == []


def test_clear_in_another_process_spares_what_is_read_here(made: Store, environment: dict[str, str]) -> None:
    kept, gone = keep(made, "scripted"), keep(made, "lite")
    with made.reading(kept.key):
        command = [sys.executable, "-m", "deploy_core", "store", "--clear"]
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "was spared" in text
    assert kept.folder.exists()
    assert not gone.folder.exists()


def test_a_clock_that_is_set_back_does_not_make_the_newest_the_oldest(
    made: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = keep(made, "scripted"), keep(made, "lite")
    for stored in (old, new):
        with made.reading(stored.key):
            pass
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    with made.reading(old.key):
        pass
    assert [stored.key for stored in made.entries()] == [old.key, new.key]


def test_a_build_larger_than_the_store_is_refused_before_it_starts(limits: Settings) -> None:
    small = bounded(limits, 1)
    with pytest.raises(StorageFailed, match="the store may hold 0 MB"), open_shelf(small, REQUEST):
        pass
    assert not small.root.exists()


def test_a_writer_that_was_killed_leaves_nothing_after_a_sweep(made: Store, environment: dict[str, str]) -> None:
    program = """
import os, time
from deploy_core import settings
from deploy_core.formats import FORMATS
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
with open_shelf(Store(settings.load()), BuildRequest("demo", "pretrained", ("scripted",))) as shelf:
    with shelf.writing(FORMATS["scripted"]) as path:
        path.write_bytes(b"half")
        print("writing", flush=True)
        time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        made.sweep()
        assert list(made.root.iterdir()), "what is being written is not swept away"
        os.kill(writer.pid, signal.SIGKILL)
    assert made.find(REQUEST) == {}
    made.sweep()
    assert list(made.root.iterdir()) == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk that takes no more: no file of this process may grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_leaves_nothing_behind(made: Store) -> None:
    with largest_file(SIZE // 2), pytest.raises(StorageFailed, match="may not be as large"):
        keep(made)
    assert made.find(REQUEST) == {}
    made.sweep()
    assert made.size() == 0


def test_a_real_build_on_a_full_disk(made: Store, limits: Settings, few_pictures: None) -> None:
    with largest_file(2_000_000), pytest.raises(StorageFailed, match="as large as"), open_shelf(made, REQUEST) as shelf:
        build.build(REQUEST, shelf, limits)
    made.sweep()
    assert made.size() == 0


def test_a_build_finds_what_an_earlier_one_made(made: Store, limits: Settings, pets: Path, few_pictures: None) -> None:
    messages: list[str] = []
    one = BuildRequest(str(pets), "pretrained", ("scripted",))
    with open_shelf(made, one) as shelf:
        first = build.build(one, shelf, limits)
    both = dataclasses.replace(one, formats=("scripted", "lite"))
    with open_shelf(made, both) as shelf:
        second = build.build(both, shelf, limits, lambda event: messages.append(event.message))
    assert first.artifacts == second.artifacts[:2]
    assert not any("Scripted" in message and "quantized" not in message for message in messages)
    # The lite file needs the quantized and the optimized one, which are written, too.
    assert list(made.find(both)) == ["original", "scripted", "quantized", "optimized", "lite"]
    assert made.result(both).artifacts == second.artifacts
    row = FORMATS["lite"]
    stored = made.find(both)["lite"]
    known = stored.known()
    tensor = torch.frombuffer(bytearray(known.input), dtype=torch.float32).view(1, 3, 32, 32)
    on_phone, here = known.answers
    assert (on_phone.engine, here.engine) == (engines.PHONE_ENGINE, row.run_engine())
    assert row.load(stored.path)(tensor)[0].tolist() == pytest.approx(here.logits, abs=1e-4)
    assert known.labels == LABELS
