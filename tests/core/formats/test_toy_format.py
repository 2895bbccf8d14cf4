"""A new format is one file and one line in the table: the command line, bundles and records of profiles know it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from deploy_core import embedded
from deploy_core.cli.main import main
from deploy_core.formats import FORMATS
from deploy_core.inference import capacity, verdicts
from deploy_core.processes.task import Task, Work
from deploy_core.profile.record.saved import read_record
from deploy_core.profile.verdict import shipping, tables
from deploy_core.settings import Settings
from deploy_core.types import silent
from deploy_core.worker.main import TASKS
from tests.core.formats import toy


@pytest.fixture(scope="module", autouse=True)
def in_the_table() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, "toy", *toy.ROWS)
        patch.setattr(verdicts, "MOST_PICTURES", 2)
        yield


@pytest.fixture(scope="module")
def built(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``build --formats toy --json`` printed."""
    printed = io.StringIO()
    asked = ["--model", str(pets), "--formats", "toy", "--json", "--out", str(tmp_path_factory.mktemp("toy"))]
    with contextlib.redirect_stdout(printed):
        assert main(["build", *asked]) == 0
    return json.loads(printed.getvalue())


@pytest.fixture(scope="module")
def folder(built: Any) -> Path:
    return Path(built["folder"])


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_line_builds_and_asks_it(
    folder: Path, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "pets_boxed.toy"
    asked = ("build", "--model", str(pets), "--formats", "toy", "--out", str(tmp_path))
    built = answer(capsys, *asked)
    row = built["artifacts"][1]
    assert (row["format"], row["file"], row["delegated_percent"]) == ("toy", file.name, 50.0)
    assert row["findings"] == [{"holds": True, "text": "Toy Runtime 1.0 reads the file."}]
    assert main(asked) == 0
    assert "Toy box" in capsys.readouterr().out
    assert main(["classify", str(embedded.SAMPLES / "chelsea.png"), "--artifact", str(file)]) == 0
    assert "pets_boxed.toy is a Toys program, and loading it runs it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    assert ",toy" in "".join(capsys.readouterr().out.split())
    assert capacity.offered_formats(Settings())[-1] == "toy"


def test_its_bundle_holds(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "toy.zip"
    answer(capsys, "bundle", str(folder / "pets_boxed.toy"), "--out", str(bundle))
    assert main(["verify", str(bundle)]) == 0
    printed, warning = capsys.readouterr()
    assert "answers as its bundle states" in printed
    assert "may hold a TorchScript or Toys program" in warning
    assert b"Toy Runtime 1.0 or later, Android, iOS: pip install toys" in bundle.read_bytes()


class Answered(Future[Any]):
    def events(self) -> tuple[()]:
        return ()


class InThisProcess:
    """In place of a ``WorkerProcess``: a new process would not know the toy."""

    def __init__(self, _: str, settings: Settings) -> None:
        self._settings = settings

    def submit(self, task: Task[Any]) -> Answered:
        answer = Answered()
        answer.set_result(TASKS[task.kind].function(task, Work(self._settings, silent)))
        return answer

    def close(self) -> None:
        """Nothing was started."""


# The mark of whose turn it is stays open until its process ends.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_profile_records_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("isolated", "run"):
        monkeypatch.setattr(f"deploy_core.profile.measure.{module}.WorkerProcess", InThisProcess)
    asked = ("profile", str(folder), "--repeats", "1", "--threads", "1", "--batch", "1", "--budget", "0.01")
    document = tmp_path / "run.json"
    document.write_text(json.dumps(answer(capsys, *asked)))
    run = read_record(document)
    assert [(row.format, row.run_engine, row.delegated_percent) for row in run.rows][1] == ("toy", "toy engine", 50.0)
    assert "numpy" in run.host.versions
    assert "Toy box" in [cells[0] for cells in tables.cells(run)]
    assert "toy,pets_boxed.toy" in tables.as_csv(run)
    assert [row.format for row in run.rows if shipping.TARGETS["phone"].takes(row.format)] == ["toy"]
    assert [row.format for row in run.rows if shipping.TARGETS["web"].takes(row.format)] == []
