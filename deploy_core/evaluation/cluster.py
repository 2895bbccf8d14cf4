"""An evaluation by a Dask cluster: the shards that one machine would go through, dealt out to workers.

The artifact goes to each worker once, also to one that comes later or comes back. Only plain values pass through the
scheduler, which therefore needs Dask and nothing of this project. Dask is imported only where a cluster is asked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import logging
import queue
import re
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import documents
from deploy_core.errors import ClusterUnavailable, DeployError, InvalidArtifact, InvalidPictureSet, InvalidRequest
from deploy_core.evaluation import evaluate as local
from deploy_core.evaluation.evaluate import Evaluation, Shard, Sheet
from deploy_core.evaluation.folders import read_picture
from deploy_core.evaluation.labelled import Entry, LabelledSet
from deploy_core.files import is_file, sha256, storage_failed
from deploy_core.formats import ORIGINAL, Workbench, by_filename
from deploy_core.inference import classify
from deploy_core.models import catalogue, load
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

if TYPE_CHECKING:
    from distributed import Client, Future, Worker, WorkerPlugin

# How long nobody may answer: the scheduler at the start, and then any worker at all.
PATIENCE_SECONDS = 10
# Enough that no worker waits for this process, and few enough that a large set is never in memory at once.
SHARDS_PER_THREAD = 2
# How many workers may die while the artifact is brought to them.
DELIVERIES = 4
ADDRESS = re.compile(r"((?P<scheme>tcp|tls)://)?(?P<host>[^\s/:\[\]]+|\[[^\s/\[\]]+\]):\d{1,5}")
LOGS = "Look at the workers' logs."


@dataclass(frozen=True)
class Parcel:
    """A subject as it travels: its artifact, what it was built from, and under which name its answers go.

    ``spec`` is the model's, as plain values: a model of one's own is on no worker.
    """

    subject: str
    spec: dict[str, Any]
    file: str
    sha256: str
    versions: dict[str, str | None]
    data: bytes = field(repr=False)


def evaluate(
    what: str,
    model: str,
    weights: str,
    pictures: LabelledSet,
    scheduler: str,
    settings: Settings,
    progress: Progress = silent,
    shared_data: bool = False,
) -> Evaluation:
    """What ``evaluate.evaluate`` gives for the one subject ``what``, worked out by the cluster at ``scheduler``.

    The pictures travel with the shards; with ``shared_data`` only their names do, and the workers read them from a
    folder that they see under the same path. Raises ClusterUnavailable, InvalidRequest for an address that is none or
    an archive that is to be shared, and what ``evaluate.open_subject`` and ``evaluate.evaluate`` raise.
    """
    root = None
    if shared_data:
        if not pictures.path.is_dir():
            raise InvalidRequest(
                f"{pictures.path.name} is an archive, which workers do not share.",
                "Unpack it where all workers see it, or leave --shared-data out.",
            )
        root = str(pictures.path.absolute())
        pictures = _Listed(**vars(pictures))
    spec = load.find(model)
    with _connected(scheduler) as client:
        parcel = _packed(what, spec, weights, settings, progress)
        with _delivered(client, scheduler, _courier(vars(parcel), root, vars(settings))) as plugin:
            sheets = _sheets(client, scheduler, plugin, local.shards(pictures, spec))
            started = time.perf_counter()
            found = local.summarize([parcel.subject], spec, weights, pictures, sheets, progress)
            return _at_the_clusters_speed(found, time.perf_counter() - started)


def is_open(scheduler: str) -> bool:
    """Whether what is sent to the address passes a network unencrypted; an address without a scheme is one of tcp."""
    found = ADDRESS.fullmatch(scheduler)
    if not found or found["scheme"] == "tls":
        return False
    try:
        return not ipaddress.ip_address(found["host"].strip("[]")).is_loopback
    except ValueError:
        return found["host"].lower() != "localhost"


class Desk:
    """Where a worker answers: the parcel's artifact in a file of its own, opened once."""

    def __init__(self, worker: Worker, parcel: Parcel, root: str | None, settings: Settings) -> None:
        """Raises ClusterUnavailable on a worker that might answer otherwise, StorageFailed, InvalidArtifact."""
        self._address, self._settings = worker.address, settings
        self._root = None if root is None else Path(root)
        self._turn = threading.Lock()
        # Below the worker's own folder, which Dask removes also where the worker was killed.
        self._folder = tempfile.TemporaryDirectory(prefix="deit-deploy-", dir=worker.local_directory)
        try:
            self._subject = self._open(parcel, Path(self._folder.name) / parcel.file)
        except BaseException:
            self.close()
            raise

    def answer(self, values: Iterable[Any]) -> Sheet:
        """The answers to the shard of these values. Raises InvalidPictureSet where a shared folder is not seen here."""
        shard = Shard(*values)
        if self._root is not None:
            if not self._root.is_dir():
                raise InvalidPictureSet(
                    f"The worker {self._address} sees no folder {self._root}.",
                    "Mount it there under this path, or leave --shared-data out.",
                )
            data = tuple(read_picture(self._root, name, self._settings) for name in shard.names)
            shard = replace(shard, data=data)
        # The threads of a worker would each compute on all cores.
        with self._turn:
            return local.answer(shard, [self._subject], self._settings)

    def close(self) -> None:
        """Removes the file."""
        self._folder.cleanup()

    def _open(self, parcel: Parcel, path: Path) -> local.Subject:
        versions = by_filename(path).versions()
        for name, wanted in parcel.versions.items():
            found = versions.get(name)
            if _public(found) != _public(wanted):
                raise ClusterUnavailable(
                    f"The worker {self._address} has {f'{name} {found}' if found else f'no {name}'}, not {wanted}.",
                    "Install the same requirements.txt there as here.",
                )
        try:
            path.write_bytes(parcel.data)
        except OSError as error:
            raise storage_failed(path.parent, error) from error
        if sha256(path) != parcel.sha256:
            raise ClusterUnavailable(f"{parcel.file} was damaged on its way to {self._address}.", "Try again.")
        spec = documents.structured(parcel.spec, ModelSpec)
        return replace(local.subject_of(path, classify.open_artifact_of(spec, path, "")), name=parcel.subject)


class _Listed(LabelledSet):
    """A set whose pictures are not read here."""

    def pictures(self) -> Iterator[tuple[Entry, bytes | None]]:
        return ((entry, None) for entry in self.entries)


def _at_the_clusters_speed(evaluation: Evaluation, seconds: float) -> Evaluation:
    """With all that the workers did at once, and what it took to reach them."""
    results = (
        replace(result, score=replace(result.score, images_per_second=evaluation.count / seconds))
        for result in evaluation.results
    )
    return replace(evaluation, results=tuple(results))


def _packed(what: str, spec: ModelSpec, weights: str, settings: Settings, progress: Progress) -> Parcel:
    """A model goes as the original's artifact, so that no worker needs the Hub or the checkpoint."""
    if what not in catalogue.MODELS:
        return _parcel(by_filename(Path(what)).key, spec, Path(what))
    bench = Workbench(load.load(what, weights, settings, progress), engine="", optimize="")
    with tempfile.TemporaryDirectory(prefix="deit-deploy-") as folder:
        path = Path(folder) / ORIGINAL.filename(what)
        ORIGINAL.save(bench, ORIGINAL.convert(bench), path)
        return _parcel(what, spec, path)


def _parcel(subject: str, spec: ModelSpec, path: Path) -> Parcel:
    if not is_file(path):
        raise InvalidArtifact(f"There is no artifact {path}.", "Check the path, or build it first.")
    try:
        return Parcel(
            subject, documents.plain(spec), path.name, sha256(path), by_filename(path).versions(), path.read_bytes()
        )
    except OSError as error:
        raise InvalidArtifact(f"{path} cannot be read ({error.strerror}).", "Check your permission.") from error


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    """A client of a cluster that has at least one worker."""
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise ClusterUnavailable(
            "Dask is not installed here.", "Install it: pip install -r requirements-cluster.txt"
        ) from error
    if not ADDRESS.fullmatch(scheduler):
        raise InvalidRequest(f"'{scheduler}' is no address of a scheduler.", "Give it as tcp://HOST:8786.")
    security = Security()
    if scheduler.startswith("tls") and not security.get_connection_args("client")["ssl_context"]:
        raise InvalidRequest("There is no certificate for TLS here.", "Name it in Dask's configuration.")
    with _quiet():
        try:
            client = Client(scheduler, timeout=PATIENCE_SECONDS, security=security, set_as_default=False)
        except Exception as error:  # what answers there may be anything
            raise ClusterUnavailable(
                f"No Dask scheduler answers at {scheduler}.", "Start one with 'dask scheduler', or check the address."
            ) from error
        with client:
            with _translated(scheduler):
                client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
            yield client


def _courier(parcel: dict[str, Any], root: str | None, settings: dict[str, Any]) -> WorkerPlugin:
    """Brings the parcel; pickled class and all, because a worker without this library must be able to say so."""
    from distributed import WorkerPlugin

    class Courier(WorkerPlugin):
        def __init__(self, name: str, *brought: Any) -> None:
            self.name, self.brought = name, brought
            self.desk: Desk | None = None

        def setup(self, worker: Worker) -> None:
            from deploy_core.evaluation.cluster import Desk, Parcel
            from deploy_core.settings import Settings

            parcel, root, settings = self.brought
            self.desk = Desk(worker, Parcel(**parcel), root, Settings(**settings))
            self.brought = ()

        def teardown(self, worker: Worker) -> None:  # noqa: ARG002
            if self.desk:
                self.desk.close()

    # The hash alone would be that of another evaluation of the same file as well.
    return Courier(f"deit-deploy-{parcel['sha256']}-{uuid.uuid4().hex}", parcel, root, settings)


def _deliver(client: Client, courier: WorkerPlugin) -> None:
    """A worker that dies meanwhile breaks off the delivery to all, so it begins again."""
    for left in reversed(range(DELIVERIES)):
        try:
            client.register_plugin(courier)
        except OSError:
            if not left or client.status != "running":
                raise
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        else:
            return


@contextlib.contextmanager
def _delivered(client: Client, scheduler: str, courier: Any) -> Iterator[str]:
    """Gives the name under which every worker, now or later, has the courier; at the end none has it."""
    try:
        with _translated(scheduler):
            _deliver(client, courier)
        yield courier.name
    finally:
        if client.status == "running":
            # A worker that could not open the parcel, or is gone, has nothing to close.
            with contextlib.suppress(Exception):
                client.unregister_worker_plugin(courier.name)


def _sheets(client: Client, scheduler: str, plugin: str, shards: Iterable[Shard]) -> Iterator[Sheet]:
    """The answers as they come. A shard whose worker dies goes to another one."""

    def ask(shard: tuple[Any, ...]) -> Any:
        from distributed import get_worker

        worker = get_worker()
        courier: Any = worker.plugins[plugin]
        if courier.desk is None:  # it came late, when nobody listened to why it could not open the parcel
            courier.setup(worker)
        return courier.desk.answer(shard)

    remaining = iter(shards)
    answered: queue.SimpleQueue[Future[Sheet]] = queue.SimpleQueue()
    asked = 0
    with _translated(scheduler):
        while True:
            room = SHARDS_PER_THREAD * max(1, sum(client.nthreads().values())) - asked
            for shard in itertools.islice(remaining, max(0, room)):
                client.submit(ask, astuple(shard), pure=False).add_done_callback(answered.put)
                asked += 1
            if not asked:
                return
            try:
                future = answered.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
                continue
            asked -= 1
            yield future.result()


@contextlib.contextmanager
def _translated(scheduler: str) -> Iterator[None]:
    from distributed import CancelledError, KilledWorker
    from distributed.exceptions import WorkerStartTimeoutError

    try:
        yield
    except DeployError:
        raise
    except WorkerStartTimeoutError as error:
        raise ClusterUnavailable(
            f"The cluster at {scheduler} has no workers.", f"Start some: dask worker {scheduler} --nthreads 1"
        ) from error
    except KilledWorker as error:
        raise ClusterUnavailable(
            f"Every worker that was given the same pictures died, at last {error.last_worker.address}.",
            f"They may have run out of memory. {LOGS}",
        ) from error
    except ImportError as error:
        raise ClusterUnavailable(
            f"A worker cannot import {error.name or error}.",
            "Start it in a checkout of this project, with its requirements installed.",
        ) from error
    except (CancelledError, OSError) as error:
        raise ClusterUnavailable(
            f"The cluster at {scheduler} was lost in the middle of the work.", "See whether it still runs; start again."
        ) from error
    except Exception as error:
        kind, (first, *_) = type(error).__name__, [*str(error).splitlines(), ""]
        raise ClusterUnavailable(f"A worker failed ({kind}: {first[:200]}).", LOGS) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Dask logs of lost workers and connections is either mended or told by what is raised."""
    loggers = [
        logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Pictures do belong into the task: what is scattered instead is lost with the worker that holds it.
            warnings.filterwarnings("ignore", "Sending large graph")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _public(version: str | None) -> str | None:
    """Without the name of the build: 2.12.1+cpu is 2.12.1."""
    return version and version.partition("+")[0]
