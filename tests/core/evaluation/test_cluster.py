"""Evaluations on a real scheduler and real workers, compared with the same evaluation on this machine."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from deploy_core import build, errors
from deploy_core.cli.main import main
from deploy_core.errors import ClusterUnavailable, DeployError, InvalidArtifact, InvalidPictureSet, InvalidRequest
from deploy_core.evaluation import cluster, cluster_worker, evaluate
from deploy_core.evaluation.evaluate import Shard
from deploy_core.evaluation.labelled import LabelledSet
from deploy_core.evaluation.results import Evaluation
from deploy_core.evaluation.subjects import open_artifact, open_subject
from deploy_core.formats import FORMATS, ORIGINAL, Workbench
from deploy_core.models import load
from deploy_core.models.own import bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, Event, Progress
from tests import own_model
from tests.conftest import PROJECT

SHARDS = 5
SHARD = 24
PICTURES = SHARD * SHARDS - 10
# Classes of ImageNet, and of the small model.
CLASSES = ("pizza", "tabby", "zebra")


@dataclass(frozen=True)
class Cluster:
    address: str
    folder: Path
    scheduler: subprocess.Popen[bytes]

    def workers(self) -> dict[str, int]:
        """The process of each worker, by its address."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return dict(client.run(os.getpid))

    def holds(self) -> list[str]:
        """The files that evaluations left on the workers."""
        return [path.name for path in self.folder.rglob("deit-deploy-*")]


@contextlib.contextmanager
def dask(*arguments: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Dask program that writes its output to ``log``; it and its children are killed at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env=os.environ | environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of a scheduler, which cannot import this project."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show")
    with dask(*arguments, log=folder / "scheduler.log") as process:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"tcp://127.0.0.1:{port}", process


def worker(address: str, folder: Path, name: str, *options: str, project: Path = PROJECT) -> Any:
    """A worker. Without ``--no-nanny`` among the options, its nanny restarts it when it dies."""
    arguments = ("worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder), *options)
    return dask(*arguments, log=folder / f"{name}.log", PYTHONPATH=str(project), OMP_NUM_THREADS="1")


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with (
        scheduler(folder) as (address, process),
        worker(address, folder, "first"),
        worker(address, folder, "second"),
    ):
        yield Cluster(address, folder, process)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the workers; with more, this process and the workers would wait for each other's cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "SHARD", SHARD)
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured pictures in three class folders, one of them large, and a file that is not a picture."""
    generator = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("labelled") / "pictures"
    for number in range(PICTURES - 1):
        place = root / CLASSES[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 40)).save(place / f"{number:04}.jpg")
    Image.new("RGB", (2000, 2000), "teal").save(root / "pizza" / "large.bmp")
    (root / "tabby" / "broken.jpg").write_bytes(b"\xff\xd8 and no more")
    return root


@pytest.fixture(scope="module")
def archive(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "pictures.tar"
    with tarfile.open(path, "w") as file:
        file.add(folder / "tabby", "pictures/tabby")
    return path


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a format that answers one picture at a time."""
    row = FORMATS["quantized"]
    path = tmp_path_factory.mktemp("artifact") / row.filename("demo")
    bench = Workbench(load.load("demo", "random", Settings()), "qnnpack", "default")
    bench.results["scripted"] = FORMATS["scripted"].convert(bench)
    row.save(bench, row.convert(bench), path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model file of a small model, which answers soon."""
    folder = tmp_path_factory.mktemp("small")
    save_file(own_model.state(), folder / "pets.safetensors")
    labels = Corrections(labels=CLASSES)
    return str(own_model.model_file(folder / "pets.safetensors", "pets", folder / "models", Settings(), labels))


def opened(path: Path, model: str = "demo") -> LabelledSet:
    return evaluate.open_pictures(path, load.find(model), Settings())


@functools.cache
def here(model: str, path: Path, what: str = "", weights: str = "pretrained") -> Evaluation:
    subject = open_subject(what or model, model, weights, Settings())
    return without_speed(evaluate.evaluate([subject], opened(path, model), Settings()))


def there(
    model: str, path: Path, address: str, what: str = "", weights: str = "pretrained", **options: Any
) -> Evaluation:
    pictures = opened(path, model)
    return without_speed(cluster.evaluate(what or model, model, weights, pictures, address, Settings(), **options))


def without_speed(evaluation: Evaluation) -> Evaluation:
    results = (replace(result, score=replace(result.score, images_per_second=0)) for result in evaluation.results)
    return replace(evaluation, results=tuple(results))


def test_a_model_gets_the_figures_it_gets_here(two_workers: Cluster, archive: Path) -> None:
    assert there("demo", archive, two_workers.address) == here("demo", archive)
    assert two_workers.holds() == []


def test_all_pictures_count_and_what_cannot_be_read_is_named(two_workers: Cluster, folder: Path, small: str) -> None:
    found = there(small, folder, two_workers.address)
    assert found == here(small, folder)
    assert (found.count, found.unreadable) == (PICTURES, ("tabby/broken.jpg",))
    assert two_workers.holds() == []


def test_a_shared_folder_gives_the_same_while_few_shards_are_on_their_way(
    two_workers: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, small: str
) -> None:
    shards = evaluate.shards
    sent: list[Shard] = []
    ahead: list[int] = []

    def noted(*arguments: Any) -> Iterator[Shard]:
        for shard in shards(*arguments):
            sent.append(shard)
            yield shard

    def progress(_: Event) -> None:
        ahead.append(len(sent) - len(ahead))

    expected = here(small, folder)
    monkeypatch.setattr(cluster, "shards", noted)
    found = there(small, folder, two_workers.address, shared_data=True, progress=progress)
    assert found == expected
    assert len(sent) == SHARDS
    assert not any(any(shard.data) for shard in sent)
    assert max(ahead) <= cluster.SHARDS_PER_THREAD * 2 < SHARDS


def test_an_artifact_gets_the_figures_it_gets_here(two_workers: Cluster, archive: Path, quantized: Path) -> None:
    found = there("demo", archive, two_workers.address, str(quantized), "random")
    assert found == here("demo", archive, str(quantized), "random")
    assert found.results[0].subject == "quantized"


def test_a_visitors_checkpoint_is_sent(two_workers: Cluster, archive: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "mine.pth"
    torch.save(load.load("demo", "random", Settings()).module.state_dict(), checkpoint)
    found = there("demo", archive, two_workers.address, weights=str(checkpoint))
    assert found == replace(here("demo", archive, weights="random"), weights=str(checkpoint))


def test_a_visitors_model_and_its_files_are_sent(two_workers: Cluster, tmp_path: Path) -> None:
    """No worker has the model file or knows its labels."""
    checkpoint = tmp_path / "pets.safetensors"
    save_file(own_model.state(), checkpoint)
    spec = bring.bring(checkpoint, tmp_path / "models", Settings(), Corrections(labels=own_model.LABELS))
    request = BuildRequest(spec.reference, "pretrained", ("original", "onnx_int8"))
    artifacts = build.build_into(tmp_path / "built", request, Settings()).artifacts
    root = tmp_path / "pets"
    for number, label in enumerate(own_model.LABELS):
        (root / label).mkdir(parents=True)
        Image.new("RGB", (40, 40), (80 * number, 200, 90)).save(root / label / "1.png")
    pictures = evaluate.open_pictures(root, spec, Settings())
    for path in (spec.file, *(tmp_path / "built" / artifact.file for artifact in artifacts)):
        subject = open_artifact(path, spec.reference, "pretrained") if path else None
        assert subject
        expected = evaluate.evaluate([subject], pictures, Settings())
        found = cluster.evaluate(str(path), spec.reference, "pretrained", pictures, two_workers.address, Settings())
        assert without_speed(found) == without_speed(expected)
        assert found.labels == own_model.LABELS


def test_the_speed_is_that_of_all_workers_together(two_workers: Cluster, folder: Path, small: str) -> None:
    started = time.perf_counter()
    found = cluster.evaluate(small, small, "pretrained", opened(folder, small), two_workers.address, Settings())
    took = time.perf_counter() - started
    assert found.results[0].score.images_per_second >= found.count / took


def test_a_worker_that_is_killed_costs_nothing_but_time(two_workers: Cluster, folder: Path, small: str) -> None:
    wait_for_workers(two_workers.address, 2)
    victim = next(iter(two_workers.workers().values()))
    events: list[Event] = []

    def kill_in_the_middle(event: Event) -> None:
        events.append(event)
        if len(events) == 3:
            os.kill(victim, signal.SIGKILL)

    found = there(small, folder, two_workers.address, progress=kill_in_the_middle)
    assert found == here(small, folder)
    assert [event.fraction for event in events] == sorted({event.fraction for event in events})
    assert events[2].fraction < 0.5
    assert events[-1] == Event(f"{PICTURES + 1} of {PICTURES + 1} pictures", 1.0)
    assert victim not in two_workers.workers().values()


def test_a_worker_that_dies_while_the_artifact_is_brought_costs_nothing_but_time(
    two_workers: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, small: str
) -> None:
    from distributed import Worker, WorkerPlugin

    wait_for_workers(two_workers.address, 2)
    victim = next(iter(two_workers.workers().values()))
    subject_plugin = cluster_worker.subject_plugin

    def deadly(*arguments: Any) -> Any:
        inner: Any = subject_plugin(*arguments)

        class Deadly(WorkerPlugin):
            name = inner.name

            @property
            def evaluator(self) -> Any:
                return inner.evaluator

            def setup(self, worker: Worker) -> None:
                if os.getpid() == victim:
                    os.kill(victim, signal.SIGKILL)
                inner.setup(worker)

            def teardown(self, worker: Worker) -> None:
                inner.teardown(worker)

        return Deadly()

    monkeypatch.setattr(cluster, "subject_plugin", deadly)
    assert there(small, folder, two_workers.address) == here(small, folder)
    assert victim not in two_workers.workers().values()


def test_the_command_gives_the_same_figures(
    two_workers: Cluster, archive: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*options: str) -> Any:
        assert main(["evaluate", "demo", "--data", str(archive), "--json", *options]) == 0
        captured = capsys.readouterr()
        assert "[100%]" in captured.err
        assert "Traceback" not in captured.err
        return json.loads(captured.out) | {"images_per_second": None}

    assert printed("--scheduler", two_workers.address) == printed()


def test_a_folder_that_a_worker_does_not_see_is_an_error(two_workers: Cluster, tmp_path: Path, small: str) -> None:
    picture = tmp_path / "pictures" / "tabby" / "1.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(picture)

    def hide(_: Event) -> None:
        (tmp_path / "pictures").rename(tmp_path / "hidden")

    with pytest.raises(InvalidPictureSet, match="sees no folder .*/pictures. Mount it there"):
        there(small, tmp_path / "pictures", two_workers.address, progress=hide, shared_data=True)


def test_an_archive_cannot_be_shared(archive: Path, small: str) -> None:
    with pytest.raises(InvalidRequest, match="pictures.tar is an archive.*leave --shared-data out"):
        there(small, archive, "tcp://127.0.0.1:9", shared_data=True)


def test_an_error_on_a_worker_comes_back_as_itself(two_workers: Cluster, archive: Path, tmp_path: Path) -> None:
    damaged = tmp_path / ORIGINAL.filename("demo")
    damaged.write_bytes(b"no safetensors")
    with pytest.raises(InvalidArtifact, match="is damaged. Build it again"):
        there("demo", archive, two_workers.address, str(damaged))
    assert two_workers.holds() == []


def test_a_worker_with_other_versions_is_refused(
    two_workers: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, small: str
) -> None:
    ours = ORIGINAL.versions()
    monkeypatch.setattr(type(ORIGINAL), "versions", lambda _: ours | {"torch": "1.0"})
    with pytest.raises(ClusterUnavailable, match=f"The worker tcp://.* has torch {ours['torch']}, not 1.0. Install"):
        there(small, folder, two_workers.address)


def test_a_cluster_without_workers_or_without_this_project_is_an_error(
    folder: Path, tmp_path: Path, impatient: None, small: str
) -> None:
    with scheduler(tmp_path) as (address, _):
        with pytest.raises(ClusterUnavailable, match=f"has no workers. Start some: dask worker {address}"):
            there(small, folder, address)
        with worker(address, tmp_path, "bare", "--no-nanny", project=tmp_path):
            wait_for_workers(address, 1)
            with pytest.raises(ClusterUnavailable, match="cannot import deploy_core. Start it in a checkout"):
                there(small, folder, address)


def kill(process: subprocess.Popen[bytes]) -> Progress:
    """Progress that kills a process when the first answers have arrived."""

    def progress(event: Event) -> None:
        if event.fraction:
            process.kill()

    return progress


def test_a_cluster_whose_last_worker_dies_is_not_waited_for(
    folder: Path, tmp_path: Path, impatient: None, small: str
) -> None:
    with scheduler(tmp_path) as (address, _), worker(address, tmp_path, "only", "--no-nanny") as only:
        wait_for_workers(address, 1)
        with pytest.raises(ClusterUnavailable, match="has no workers"):
            there(small, folder, address, progress=kill(only))


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


def test_an_address_where_nobody_listens_is_an_error(folder: Path, impatient: None, small: str) -> None:
    with pytest.raises(ClusterUnavailable, match="No Dask scheduler answers at tcp://127.0.0.1:9"):
        there(small, folder, "tcp://127.0.0.1:9")


@pytest.mark.parametrize("address", ["", "somewhere", "127.0.0.1", "http://127.0.0.1:8786", "tcp://127.0.0.1:eighty"])
def test_a_malformed_address_is_refused(address: str, folder: Path, small: str) -> None:
    with pytest.raises(InvalidRequest, match=f"'{address}' is not the address of a scheduler"):
        there(small, folder, address)


def test_encryption_that_is_not_set_up_is_an_error(folder: Path, small: str) -> None:
    with pytest.raises(InvalidRequest, match="no certificate for TLS"):
        there(small, folder, "tls://127.0.0.1:8786")


def test_without_dask_the_error_names_the_install_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, small: str
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterUnavailable, match="pip install -r requirements-cluster.txt"):
        there(small, folder, "tcp://127.0.0.1:8786")


def test_every_error_survives_the_way_between_processes() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DeployError)]
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("Something is wrong.", "Mend it.")))
        assert (type(error), error.problem, error.remedy) == (kind, "Something is wrong.", "Mend it.")


def test_a_scheduler_that_dies_is_not_waited_for(
    two_workers: Cluster, folder: Path, impatient: None, small: str
) -> None:
    """The last of this file: it ends the cluster that the others share."""
    with pytest.raises(ClusterUnavailable, match=f"The cluster at {two_workers.address} was lost"):
        there(small, folder, two_workers.address, progress=kill(two_workers.scheduler))
