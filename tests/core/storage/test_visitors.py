"""Many visitors: a line in front of the models, one copy of each, and what a visitor brought is forgotten."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save

from deploy_core import embedded
from deploy_core.errors import InvalidRequest, JobFailed, QueueFull, StorageFailed
from deploy_core.inference.open_models import OpenModels
from deploy_core.models import hub, load
from deploy_core.models.hub import HubName
from deploy_core.models.own import bring, card
from deploy_core.models.own.corrections import Corrections
from deploy_core.pictures import pool
from deploy_core.processes.line import MOST_WAITING, WaitingLine, unseen
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import Work
from deploy_core.settings import Settings
from deploy_core.storage.visitors import MOST_MODELS, Visitors, VisitorsFile, new_name
from deploy_core.types import ModelChoice
from deploy_core.worker import main, reader
from deploy_core.worker.client import Inference
from deploy_core.worker.tasks import Correct, Fetch, TakeIn
from tests.own_model import LABELS, model_file, state

PICTURE = (embedded.SAMPLES / "chelsea.png").read_bytes()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("at_once", [1, 3])
def test_visitors_are_let_in_in_the_order_they_came(at_once: int) -> None:
    line, order, inside, most = WaitingLine(at_once), list[int](), list[int](), list[int]()
    gate = threading.Event()

    def visit(number: int) -> None:
        with line.turn(unseen):
            order.append(number)
            inside.append(number)
            most.append(len(inside))
            gate.wait(20)
            inside.remove(number)

    visitors = []
    for number in range(9):
        visitors.append(threading.Thread(target=visit, args=[number]))
        visitors[-1].start()
        wait_until(lambda number=number: len(order) + len(line._waiting) == number + 1)  # type: ignore[misc]
    gate.set()
    for visitor in visitors:
        visitor.join()
    assert sorted(order[:at_once]) == list(range(at_once))
    assert max(most) == at_once
    assert order[at_once:] == sorted(order[at_once:]) or at_once > 1


def test_who_waits_is_told_how_many_come_first_and_may_leave() -> None:
    line, told = WaitingLine(1), list[int]()

    class Left(Exception):
        pass

    def leave(ahead: int) -> None:
        told.append(ahead)
        raise Left

    with line.turn(unseen):
        with pytest.raises(Left), line.turn(leave):
            pytest.fail("it was nobody's turn")
        assert told == [1]
    with line.turn(unseen):
        pass


def test_a_line_that_is_too_long_is_refused() -> None:
    line = WaitingLine(1)
    line._waiting = [object()] * MOST_WAITING
    with pytest.raises(QueueFull, match="Too many visitors"), line.turn(unseen):
        pytest.fail("it was full")


def test_one_copy_of_a_model_serves_everybody_and_the_last_used_stays(limits: Settings) -> None:
    kept = OpenModels(limits, 2)
    found: list[object] = []
    askers = [threading.Thread(target=lambda: found.append(kept.get(ModelChoice("demo", "random")))) for _ in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len({id(one) for one in found}) == 1
    second = weakref.ref(kept.get(ModelChoice("demo", "pretrained")).module)
    kept.get(ModelChoice("demo", "random"))
    kept.get(ModelChoice("deit_tiny_patch16_224", "random"))
    gc.collect()
    assert second() is None
    assert kept.get(ModelChoice("demo", "random")) is found[0]


def brought(visitors: Visitors, visitor: str, name: str = "pets.safetensors") -> Path:
    data = save(state())
    with visitors.uploaded(visitor, data) as upload:
        return model_file(
            upload.path(visitors._settings), name, visitors.folder(visitor), Settings(), Corrections(labels=LABELS)
        )


def test_a_model_that_changed_is_opened_again_and_a_visitors_is_let_go(limits: Settings) -> None:
    visitors, kept = Visitors(limits, lambda _: None), OpenModels(limits, 2)
    path = brought(visitors, visitor := new_name())
    first = kept.get(ModelChoice(str(path), "pretrained"))
    bring.correct(path, limits, Corrections(labels=("a", "b", "c")))
    second = kept.get(ModelChoice(str(path), "pretrained"))
    assert (first.labels, second.labels) == (LABELS, ("a", "b", "c"))
    gone = weakref.ref(second.module)
    del first, second
    kept.forget(visitor)
    gc.collect()
    assert gone() is None


def test_a_visitor_who_left_is_forgotten_unless_they_come_back(limits: Settings) -> None:
    forgotten: list[str] = []
    visitors = Visitors(limits, forgotten.append, grace_seconds=0.3)
    stays, leaves = new_name(), new_name()
    paths = [brought(visitors, visitor) for visitor in (stays, leaves)]
    assert [spec.title for spec in visitors.models(stays)] == ["pets"]
    for visitor in (stays, leaves):
        visitors.leave(visitor)
    visitors.arrive(stays)
    wait_until(lambda: not visitors.folder(leaves).exists())
    assert [path.exists() for path in paths] == [True, False]
    assert forgotten == [leaves]


def test_what_cannot_be_removed_is_noted_without_the_visitors_name(
    limits: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    def forget(visitor: str) -> None:
        raise StorageFailed(f"{visitor} cannot be written.", "Name another folder.") from NotADirectoryError()

    visitors = Visitors(limits, forget, grace_seconds=0.01)
    brought(visitors, visitor := new_name())
    visitors.leave(visitor)
    wait_until(lambda: not visitors.folder(visitor).exists())
    assert "NotADirectoryError" in caplog.text
    assert visitor not in caplog.text


def test_who_leaves_twice_and_comes_back_is_not_forgotten(limits: Settings) -> None:
    forgotten: list[str] = []
    visitors = Visitors(limits, forgotten.append, grace_seconds=0.3)
    path = brought(visitors, visitor := new_name())
    visitors.leave(visitor)
    visitors.leave(visitor)
    visitors.arrive(visitor)
    time.sleep(0.6)
    assert forgotten == []
    assert path.exists()


def test_all_three_models_can_be_brought_as_files(limits: Settings) -> None:
    """An upload on its way is no model yet."""
    visitors = Visitors(limits, lambda _: None)
    visitor = new_name()
    for number in range(MOST_MODELS):
        with visitors.uploaded(visitor, save(state())) as upload:
            task = TakeIn(upload, f"pets {number}.safetensors", Corrections())
            reader.run_take_in(task, Work(limits))
    assert [spec.title for spec in visitors.models(visitor)] == ["pets 0", "pets 1", "pets 2"]


@pytest.mark.parametrize(
    ("visitor", "file"),
    [
        ("0" * 32, "../../secret.safetensors"),
        ("0" * 32, "/etc/secret.safetensors"),
        ("0" * 32, "secret.txt"),
        ("0" * 32, "pets.safetensors\n"),
        ("0" * 31, "pets.safetensors"),
        ("..", "pets.safetensors"),
        ("0" * 31 + "/", "pets.safetensors"),
        (f"{'0' * 32}-", "pets.safetensors"),
    ],
)
def test_a_visitors_file_can_be_no_other(visitor: str, file: str) -> None:
    with pytest.raises(InvalidRequest):
        VisitorsFile(visitor, file)


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "~root/x", "../a/b", "a/../b", "hf-hub:../../x", "a/b/c", "a", "", "ä/b", "a/b\n", "a\\b/c"]
)
def test_a_name_on_the_hub_can_be_no_path(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not the name of a model on the Hub"):
        HubName.parse(text if text != "a/b\n" else "a/b\n\nc")
    assert str(HubName.parse(" hf-hub:some.body/pets-2_x ")) == "hf-hub:some.body/pets-2_x"


def test_an_app_that_starts_again_knows_nobody(limits: Settings) -> None:
    path = brought(Visitors(limits, lambda _: None), visitor := new_name())
    forgotten: list[str] = []
    Visitors(limits, forgotten.append)
    assert forgotten == [visitor]
    assert not path.exists()


def test_all_that_is_left_of_visitors_is_found_when_the_app_starts_again(limits: Settings) -> None:
    names = [new_name() for _ in range(5)]
    built, evaluated, run, report, _ = names
    for place in (f"artifacts/{built}-lite-0123", f"runs/{run}", f"reports/{report}", f"visitors/{names[4]}"):
        (limits.home / place).mkdir(parents=True)
    (limits.home / "evaluations").mkdir()
    (limits.home / f"evaluations/{evaluated}-0123.json").touch()
    (limits.home / f"uploads/{new_name() * 2}").mkdir(parents=True)
    (limits.home / "artifacts/demo-lite-0123").mkdir()
    forgotten: list[str] = []
    Visitors(limits, forgotten.append)
    assert sorted(forgotten) == sorted(names)


def test_two_checkpoints_of_one_name_are_two_models(limits: Settings) -> None:
    visitors = Visitors(limits, lambda _: None)
    folder = visitors.folder(visitor := new_name())
    for _ in range(2):
        with visitors.uploaded(visitor, save(state())) as upload:
            task = TakeIn(upload, "My Pets.safetensors", Corrections(labels=LABELS))
            reader.run_take_in(task, Work(limits))
    assert [card.read(path).title for path in sorted(folder.iterdir())] == ["My Pets", "My Pets 2"]
    corrections = Corrections(labels=("a", "b", "c"))
    reader.run_correct(Correct(VisitorsFile(visitor, "my_pets.safetensors"), corrections), Work(limits))
    assert [card.read(path).own_labels for path in sorted(folder.iterdir())] == [("a", "b", "c"), LABELS]


def test_what_comes_from_the_hub_is_bounded_as_an_upload_is(
    limits: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Visitors(limits, lambda _: None).folder(visitor := new_name())
    sizes: list[int] = []

    def repository(*given: Any) -> hub.Repository:
        """Announces its size, as the real one does before it downloads."""
        given[-1](sizes[-1])
        (given[1] / "model.safetensors").write_bytes(save(state()))
        return hub.Repository(given[1] / "model.safetensors", {})

    monkeypatch.setattr(hub, "fetch_repository", repository)
    task = Fetch(HubName("somebody", "pets"), visitor, Corrections())

    def fetch(size: int, settings: Settings) -> None:
        sizes.append(size)
        main.run_fetch(task, Work(settings))

    with pytest.raises(InvalidRequest, match="Reading this checkpoint needs about"):
        fetch(400_000_000, replace(limits, memory_bytes=2_000_000_000))
    with pytest.raises(StorageFailed, match="may take"):
        fetch(400_000, replace(limits, upload_bytes=300_000))
    for number in range(MOST_MODELS - 1):
        path = tmp_path / f"pets{number or ''}.safetensors"
        path.write_bytes(save(state()))
        model_file(path, path.name, folder, limits)
    fetch(1000, limits)
    with pytest.raises(StorageFailed, match=f"brought {MOST_MODELS} models already"):
        fetch(1000, limits)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "pets.safetensors",
        "pets1.safetensors",
        "pets_2.safetensors",
    ]


def test_what_visitors_bring_is_bounded(limits: Settings) -> None:
    data = save(state())
    visitors = Visitors(replace(limits, upload_bytes=6 * len(data)), lambda _: None)
    first, second = new_name(), new_name()
    for number in range(MOST_MODELS):
        brought(visitors, first, f"pets {number}.safetensors")
    with pytest.raises(StorageFailed, match=f"brought {MOST_MODELS} models already"):
        brought(visitors, first, "one more.safetensors")
    brought(visitors, second, "theirs.safetensors")
    with pytest.raises(StorageFailed, match="Other visitors' models take all the room"):
        brought(visitors, second, "another.safetensors")
    visitors.remove(visitors.models(first)[0])
    assert len(visitors.models(first)) == MOST_MODELS - 1
    assert not list(limits.home.glob("visitors/*/.*"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WorkerProcess, Inference]]:
    """A process that answers two at once, and the questions that it is asked."""
    settings = replace(Settings(), home=tmp_path_factory.mktemp("home"))
    process = WorkerProcess("inference process", settings, at_once=2)
    inference = Inference(process, pool.shared(settings), 2)
    yield process, inference
    inference.close()


def test_visitors_share_a_process_that_answers_several_at_once(
    shared: tuple[WorkerProcess, Inference], answer: Callable[[str], str]
) -> None:
    _, inference = shared
    labels: list[str] = []

    def ask() -> None:
        labels.append(inference.classify(ModelChoice("demo", "pretrained"), PICTURE, "a cat").top[0].label)

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    shares = inference.look(ModelChoice("demo", "pretrained"), PICTURE, "a cat").attention
    for asker in askers:
        asker.join()
    assert labels == [answer("chelsea.png")] * 8
    assert shares
    assert len(shares) == len(shares[0]) == load.find("demo").input_size // 16


def test_the_process_killed_in_mid_answer_is_a_sentence_and_the_next_visitor_is_served(
    shared: tuple[WorkerProcess, Inference], answer: Callable[[str], str]
) -> None:
    process, inference = shared
    failures: list[str] = []

    def ask() -> None:
        try:
            inference.classify(ModelChoice("deit_base_patch16_384", "random"), PICTURE, "a cat")
        except JobFailed as error:
            failures.append(str(error))

    asker = threading.Thread(target=ask)
    asker.start()
    wait_until(lambda: process._under_way == 1)
    assert process._child
    process._child.kill()
    asker.join()
    assert failures == ["The inference process ran out of memory or was killed. Try a smaller model."]
    found = inference.classify(ModelChoice("demo", "pretrained"), PICTURE, "a cat")
    assert found.top[0].label == answer("chelsea.png")


def test_a_reload_ends_the_session_before_and_keeps_the_models(limits: Settings) -> None:
    forgotten: list[str] = []
    visitors = Visitors(limits, forgotten.append, grace_seconds=0.3)
    path = brought(visitors, visitor := new_name())
    visitors.arrive(visitor)
    visitors.arrive(visitor)
    visitors.leave(visitor)
    time.sleep(0.6)
    assert path.exists()
    visitors.leave(visitor)
    wait_until(lambda: not path.exists())
    assert forgotten == [visitor]
