"""Evaluates on a Dask cluster: sends the shards of ``evaluate`` to workers (``cluster_worker``).

Dask is imported only inside the functions that use it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import logging
import queue
import re
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import ClusterUnavailable, DeployError, InvalidRequest
from deploy_core.evaluation.cluster_worker import SubjectPackage, packed, subject_plugin
from deploy_core.evaluation.evaluate import Shard, shards, summarize
from deploy_core.evaluation.labelled import Entry, LabelledSet
from deploy_core.evaluation.results import Evaluation, ShardResult
from deploy_core.formats import ORIGINAL, Workbench, by_filename
from deploy_core.models import catalogue, load
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

if TYPE_CHECKING:
    from distributed import Client, Future, WorkerPlugin

# How long to wait for the scheduler at the start, and later for any worker.
PATIENCE_SECONDS = 10
# Enough that no worker waits for this process, and so few that a large set is never in memory as a whole.
SHARDS_PER_THREAD = 2
# How often the artifact is sent again after a worker died meanwhile.
UPLOADS = 4
ADDRESS = re.compile(r"((?P<scheme>tcp|tls)://)?(?P<host>[^\s/:\[\]]+|\[[^\s/\[\]]+\]):\d{1,5}")
LOGS = "Look at the workers' logs."


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
    """The result of ``evaluate.evaluate`` for the one subject ``what``, computed by the cluster at ``scheduler``.

    The shards carry the pictures. With ``shared_data`` they carry only the names, and the workers read the pictures
    from a folder that they see under the same path. Raises ClusterUnavailable, InvalidRequest for a bad address or for
    an archive with ``shared_data``, and what ``subjects.open_subject`` and ``evaluate.evaluate`` raise.
    """
    root = None
    if shared_data:
        if not pictures.path.is_dir():
            raise InvalidRequest(
                f"{pictures.path.name} is an archive, which workers do not share.",
                "Unpack it where all workers see it, or leave --shared-data out.",
            )
        root = str(pictures.path.absolute())
        pictures = _NamesOnly(**vars(pictures))
    spec = load.find(model)
    with _connected(scheduler) as client:
        package = _package(what, spec, weights, settings, progress)
        with _registered(client, scheduler, subject_plugin(vars(package), root, vars(settings))) as plugin:
            parts = _answered(client, scheduler, plugin, shards(pictures, spec))
            started = time.perf_counter()
            evaluation = summarize([package.subject], spec, weights, pictures, parts, progress)
            return _with_cluster_speed(evaluation, time.perf_counter() - started)


def is_open(scheduler: str) -> bool:
    """Whether data sent to this address cross a network unencrypted. An address without a scheme is tcp."""
    parts = ADDRESS.fullmatch(scheduler)
    if not parts or parts["scheme"] == "tls":
        return False
    try:
        return not ipaddress.ip_address(parts["host"].strip("[]")).is_loopback
    except ValueError:
        return parts["host"].lower() != "localhost"


class _NamesOnly(LabelledSet):
    """A set whose pictures are not read on this machine."""

    def pictures(self) -> Iterator[tuple[Entry, bytes | None]]:
        return ((entry, None) for entry in self.entries)


def _with_cluster_speed(evaluation: Evaluation, seconds: float) -> Evaluation:
    """The evaluation with the speed of the whole cluster, including the time to send pictures and answers."""
    results = (
        replace(result, score=replace(result.score, images_per_second=evaluation.count / seconds))
        for result in evaluation.results
    )
    return replace(evaluation, results=tuple(results))


def _package(what: str, spec: ModelSpec, weights: str, settings: Settings, progress: Progress) -> SubjectPackage:
    """A model is sent as its original artifact, so that no worker needs the Hub or the checkpoint."""
    if what not in catalogue.MODELS:
        return packed(by_filename(Path(what)).key, spec, Path(what))
    bench = Workbench(load.load(what, weights, settings, progress), engine="", optimize="")
    with tempfile.TemporaryDirectory(prefix="deit-deploy-") as folder:
        path = Path(folder) / ORIGINAL.filename(what)
        ORIGINAL.save(bench, ORIGINAL.convert(bench), path)
        return packed(what, spec, path)


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    """A client of a cluster with at least one worker."""
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise ClusterUnavailable(
            "Dask is not installed here.", "Install it: pip install -r requirements-cluster.txt"
        ) from error
    if not ADDRESS.fullmatch(scheduler):
        raise InvalidRequest(f"'{scheduler}' is not the address of a scheduler.", "Give it as tcp://HOST:8786.")
    security = Security()
    if scheduler.startswith("tls") and not security.get_connection_args("client")["ssl_context"]:
        raise InvalidRequest("There is no certificate for TLS here.", "Name it in Dask's configuration.")
    with _quiet():
        try:
            client = Client(scheduler, timeout=PATIENCE_SECONDS, security=security, set_as_default=False)
        except Exception as error:  # anything may listen at that address
            raise ClusterUnavailable(
                f"No Dask scheduler answers at {scheduler}.", "Start one with 'dask scheduler', or check the address."
            ) from error
        with client:
            with _readable_errors(scheduler):
                client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
            yield client


def _register(client: Client, plugin: WorkerPlugin) -> None:
    """Sends the plugin to all workers. A worker that dies meanwhile stops this for all, so it starts again."""
    for left in reversed(range(UPLOADS)):
        try:
            client.register_plugin(plugin)
        except OSError:
            if not left or client.status != "running":
                raise
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        else:
            return


@contextlib.contextmanager
def _registered(client: Client, scheduler: str, plugin: Any) -> Iterator[str]:
    """Registers the plugin on every worker, now or later, and gives its name; unregisters it at the end."""
    try:
        with _readable_errors(scheduler):
            _register(client, plugin)
        yield plugin.name
    finally:
        if client.status == "running":
            # A worker that is gone, or could not open the package, has nothing to close.
            with contextlib.suppress(Exception):
                client.unregister_worker_plugin(plugin.name)


def _answered(client: Client, scheduler: str, name: str, remaining: Iterable[Shard]) -> Iterator[ShardResult]:
    """The answers in the order in which they arrive. If a worker dies, another one gets its shard."""

    def ask(shard: tuple[Any, ...]) -> Any:
        from distributed import get_worker

        worker = get_worker()
        plugin: Any = worker.plugins[name]
        if plugin.evaluator is None:  # Dask hides an error of setup on a worker that joined late, so raise it here
            plugin.setup(worker)
        return plugin.evaluator.answer(shard)

    waiting = iter(remaining)
    answered: queue.SimpleQueue[Future[ShardResult]] = queue.SimpleQueue()
    asked = 0
    with _readable_errors(scheduler):
        while True:
            room = SHARDS_PER_THREAD * max(1, sum(client.nthreads().values())) - asked
            for shard in itertools.islice(waiting, max(0, room)):
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
def _readable_errors(scheduler: str) -> Iterator[None]:
    """Turns the errors of Dask and of workers into ClusterUnavailable."""
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
    """Silences Dask's log of lost workers and connections: the work is repeated elsewhere, or an error is raised."""
    loggers = [
        logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Pictures belong into the task: scattered data are lost with the worker that holds them.
            warnings.filterwarnings("ignore", "Sending large graph")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
