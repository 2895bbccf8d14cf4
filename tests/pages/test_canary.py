"""A file of the host that no visitor may reach: visitors name it in all that they can send, and it is never opened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save

from deploy_core import documents, embedded
from deploy_core.build import Build
from deploy_core.errors import DeployError
from deploy_core.models.own.corrections import Corrections
from deploy_core.processes.task import Task, Work
from deploy_core.profile.measure.build_and_measure import Profile
from deploy_core.profile.record.saved import read_record
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, ModelChoice
from deploy_core.worker import main
from deploy_core.worker.tasks import AskFile, Classify, CompareFile, Evaluate, Look
from pages.state import services
from tests.own_model import LABELS, model_file, state
from tests.pages.harness import finished, open_page
from tests.pages.test_classify import opened

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A model file outside the home, which the app could use if it opened it."""
    (tmp_path / "host").mkdir()
    checkpoint = tmp_path / "host" / "private.safetensors"
    checkpoint.write_bytes(save(state()))
    path = model_file(checkpoint, "canary", tmp_path / "host", Settings(), Corrections(labels=LABELS))
    rest(path)
    path.read_bytes()
    if not was_read(path):
        pytest.skip("this file system does not note when a file was read")
    rest(path)
    return path


def rest(path: Path) -> None:
    """Sets the access time long before the modification time, so that the system updates it at the next read."""
    os.utime(path, ns=(10**18, 2 * 10**18))


def was_read(path: Path) -> bool:
    return path.stat().st_atime_ns != 10**18


TYPED = ("{path}", "hf-hub:{path}", "{folder}/../host/{name}", "file://{path}", "host/{name}")


def test_the_box_for_names_on_the_hub_reads_no_file(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(canary.parents[1])
    monkeypatch.setenv("DEIT_DEPLOY_OFFLINE", "1")
    app = open_page()
    app.button(key="bring").click().run()
    app.button_group(key="own_from").set_value("Hugging Face Hub").run()
    for text in TYPED:
        typed = text.format(path=canary, folder=canary.parent, name=canary.name)
        app.text_input(key="own_name").set_value(typed)
        finished(app.button(key="own_load").click().run())
        assert app.selectbox(key="model").value == "demo"
        assert not app.exception
        # A name that looks like one on the Hub is asked of the Hub, which is out of reach here.
        words = "without a network" if typed == f"host/{canary.name}" else "not the name of a model on the Hub"
        assert words in " ".join(error.value for error in app.error).replace("\\", ""), typed
        assert not was_read(canary)


def test_an_address_with_a_path_for_a_model_reads_no_file(canary: Path) -> None:
    app = opened({"model": str(canary), "weights": str(canary)})
    assert app.selectbox(key="model").value == "demo"
    assert not app.exception
    assert app.metric
    assert not was_read(canary)


def test_a_record_that_names_a_path_reads_no_file(canary: Path) -> None:
    forged = documents.plain(read_record(embedded.SAVED_PROFILE)) | {"model": str(canary), "weights": str(canary)}
    key = services.runs().take_in(json.dumps(forged).encode())
    app = opened({"run": key, "model": str(canary)})
    app.switch_page("profile_files.py").run()
    assert not app.exception
    assert not was_read(canary)


def wanted(model: ModelChoice) -> BuildRequest:
    return BuildRequest(model.reference, model.weights, ("original",))


REQUESTS: tuple[Callable[[ModelChoice], Task[Any]], ...] = (
    lambda model: Classify(model, "x", 1, 0.0, 0.0),
    lambda model: Look(Classify(model, "x", 1, 0.0, 0.0)),
    lambda model: CompareFile(model, "x"),
    lambda model: AskFile(model, "x"),
    lambda model: Build(wanted(model)),
    lambda model: Profile(wanted(model), 1.0),
    lambda model: Evaluate(wanted(model), model.reference, "x"),
)


@pytest.mark.parametrize("request_of", REQUESTS)
@pytest.mark.parametrize("where", ["model", "weights"])
def test_the_worker_checks_again(
    canary: Path, limits: Settings, request_of: Callable[[ModelChoice], Task[Any]], where: str
) -> None:
    model = ModelChoice(str(canary), "pretrained") if where == "model" else ModelChoice("demo", str(canary))
    request = request_of(model)
    with pytest.raises(
        DeployError, match="There is no such model here|no file that a visitor brought|not offered here"
    ):
        main.TASKS[request.kind].function(request, Work(limits))
    assert not was_read(canary)


def test_labelled_pictures_are_a_visitors_or_the_hosts_to_offer(canary: Path, limits: Settings) -> None:
    for path in (canary, limits.home / "datasets" / "..", limits.home / "uploads" / "x", Path("/etc")):
        request = Evaluate(wanted(ModelChoice("demo", "pretrained")), str(path), "x")
        with pytest.raises(DeployError, match="There are no such pictures here"):
            main.run_evaluate(request, Work(limits))
    assert not was_read(canary)
