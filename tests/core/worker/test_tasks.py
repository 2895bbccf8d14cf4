"""The tables of tasks: each function gives what its request promises."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

import pytest

from deploy_core import documents
from deploy_core.build import Build
from deploy_core.errors import InvalidArtifact
from deploy_core.pictures import decoder
from deploy_core.processes.server import perform
from deploy_core.processes.task import TableRow, WithBytes, Work
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, ModelChoice
from deploy_core.worker import main, reader
from deploy_core.worker.tasks import Classify

ENTRIES = [entry for tasks in (main.TASKS, reader.TASKS, decoder.TASKS) for entry in tasks.values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.request.__name__)
def test_a_function_takes_its_request_and_gives_its_answer(entry: TableRow) -> None:
    hints = get_type_hints(entry.function)
    answer = hints.pop("return")
    (promised,) = get_args(entry.request.__orig_bases__[0])  # type: ignore[attr-defined]
    assert next(iter(hints.values())) is entry.request
    assert answer == promised
    inner = get_args(answer)[0] if get_origin(answer) is WithBytes else answer
    assert inner in (entry.request.answer, type(entry.request.answer))


@pytest.mark.parametrize(
    "request_",
    [
        Build(BuildRequest("demo", "pretrained", ("lite", "onnx"))),
        Classify(ModelChoice("demo", "random"), "a cat", None, 1.0, 2.0),
    ],
)
def test_a_request_travels_as_json(request_: Any) -> None:
    assert documents.structured(documents.plain(request_), type(request_)) == request_


def test_a_request_that_does_not_fit_is_one_sentence() -> None:
    order = {"kind": "classify", "request": {"model": "demo"}}
    message, blob = perform(main.TASKS, order, Work(Settings()))
    assert message["error"]["kind"] == InvalidArtifact.__name__
    assert blob is None
