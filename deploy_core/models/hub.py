"""Weights from the Hugging Face Hub, from a mirror of it (``HF_ENDPOINT``), or from the local cache."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidCheckpoint, InvalidRequest, WeightsUnavailable
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress

FILENAME = "model.safetensors"
WAYS_OUT = (
    "Choose the embedded model 'demo', set HF_ENDPOINT to a mirror that is reachable, or give a checkpoint file as "
    "weights."
)
PREFIX = "hf-hub:"
NAME_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
CONFIG = "config.json"
LARGEST_CONFIG = 4_000_000


@dataclass(frozen=True)
class HubName:
    """The name of a model on the Hub. It cannot hold a path. Raises InvalidRequest for anything else."""

    owner: str
    name: str

    def __post_init__(self) -> None:
        if not (NAME_PART.fullmatch(self.owner) and NAME_PART.fullmatch(self.name)):
            raise InvalidRequest("This is not the name of a model on the Hub.", f"Write it like {PREFIX}owner/name.")

    @classmethod
    def parse(cls, text: str) -> HubName:
        """``owner/name``, with or without ``hf-hub:`` before it. Raises InvalidRequest."""
        owner, _, name = text.strip().removeprefix(PREFIX).partition("/")
        return cls(owner, name)

    def __str__(self) -> str:
        return f"{PREFIX}{self.owner}/{self.name}"

    @property
    def file_name(self) -> str:
        """The file name of the model. The suffix is needed, because a name on the Hub may hold a dot itself."""
        return f"{self.name}.safetensors"


@dataclass(frozen=True)
class Repository:
    """A downloaded repository: its weights, and the texts of the documents beside them, by their names."""

    weights: Path
    documents: Mapping[str, str]


def is_cached(repo_id: str) -> bool:
    """Whether the weights of ``repo_id`` are in the local Hub cache."""
    return _cached(repo_id) is not None


def content(repo_id: str) -> str:
    """The hash of the weights, by which the cache names them; ``repo_id`` if they are not in the cache."""
    cached = _cached(repo_id)
    return cached.resolve().name if cached is not None and cached.is_symlink() else repo_id


def download(repo_id: str, progress: Progress, settings: Settings) -> Path:
    """The path of the weights of ``repo_id``, downloaded if they are not in the cache.

    Raises WeightsUnavailable within seconds if the Hub cannot be reached or has no such file.
    """
    cached = _cached(repo_id)
    if cached is not None:
        return cached
    from huggingface_hub import constants, hf_hub_download

    if constants.HF_HUB_OFFLINE or settings.offline:
        raise WeightsUnavailable(
            f"The weights of {repo_id} are not in the local cache, and HF_HUB_OFFLINE forbids a download.", WAYS_OUT
        )
    _require_reachable(repo_id, FILENAME, settings)
    with _as_deploy_error(repo_id):
        return Path(hf_hub_download(repo_id, FILENAME, tqdm_class=_progress_bar(repo_id, progress)))


def fetch_repository(
    source: HubName,
    folder: Path,
    progress: Progress,
    settings: Settings,
    weights: tuple[str, ...],
    documents: tuple[str, ...],
    check: Callable[[Mapping[str, str]], object],
    admit: Callable[[int], None],
) -> Repository:
    """Downloads a repository into ``folder``, without sending any token of this machine.

    The first of the files ``weights`` is taken, up to ``settings.upload_bytes``, with those of ``documents`` that are
    there. ``check`` is called with the documents, and ``admit`` with the size, before the weights are downloaded.
    Raises InvalidCheckpoint, WeightsUnavailable, and whatever ``check`` and ``admit`` raise.
    """
    from huggingface_hub import constants

    repo_id = f"{source.owner}/{source.name}"
    if constants.HF_HUB_OFFLINE or settings.offline:
        raise WeightsUnavailable("This app works without a network.", "Give a checkpoint file.")
    _require_reachable(repo_id, CONFIG, settings)
    texts = {}
    for document in documents:
        if _size(repo_id, document) is not None:
            path = _download(repo_id, document, LARGEST_CONFIG, folder, progress)
            texts[document] = path.read_bytes().decode("utf-8-sig", errors="replace")
    check(texts)
    for filename in weights:
        size = _size(repo_id, filename)
        if size is not None:
            admit(size)
            return Repository(_download(repo_id, filename, settings.upload_bytes, folder, progress), texts)
    if _size(repo_id, f"{weights[0]}.index.json") is not None:
        raise InvalidCheckpoint(f"The weights of {repo_id} are split into several files.", "Give a smaller model.")
    raise InvalidCheckpoint(f"{repo_id} holds none of {', '.join(weights)}.", "Give the name of another model.")


def _size(repo_id: str, filename: str) -> int | None:
    """The size in bytes; None if the repository has no such file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    with _as_deploy_error(repo_id):
        try:
            return get_hf_file_metadata(hf_hub_url(repo_id, filename), token=False).size or 0
        except EntryNotFoundError:
            return None


def _download(repo_id: str, filename: str, most: int, folder: Path, progress: Progress) -> Path:
    from huggingface_hub import hf_hub_download

    size = _size(repo_id, filename)
    if size is not None and size > most:
        raise InvalidCheckpoint(
            f"{filename} of {repo_id} has {size / 1e6:.0f} MB, and the limit is {most / 1e6:.0f} MB.",
            "Give the name of a smaller model.",
        )
    with _as_deploy_error(repo_id):
        bar = _progress_bar(repo_id, progress)
        return Path(hf_hub_download(repo_id, filename, token=False, local_dir=folder, tqdm_class=bar))


@contextmanager
def _as_deploy_error(repo_id: str) -> Iterator[None]:
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        yield
    except EntryNotFoundError as error:
        raise WeightsUnavailable(f"{repo_id} has no such file.", WAYS_OUT) from error
    except HfHubHTTPError as error:
        raise WeightsUnavailable(
            f"The Hub refused the weights of {repo_id} ({error.response.status_code}).", WAYS_OUT
        ) from error
    except Exception as error:
        # The HTTP and the Xet client underneath raise errors of their own classes, which derive from Exception.
        raise WeightsUnavailable(f"The download of {repo_id} failed ({type(error).__name__}).", WAYS_OUT) from error


def _cached(repo_id: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repo_id, FILENAME)
    return Path(path) if isinstance(path, str) else None


def _require_reachable(repo_id: str, filename: str, settings: Settings) -> None:
    # hf_hub_download retries five times, for 23 seconds on a machine without a network. One request is enough.
    import requests
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repo_id, filename)
    status: Future[int] = Future()

    def ask() -> None:
        try:
            answer = requests.head(url, timeout=settings.hub_connect_seconds, allow_redirects=False)
            status.set_result(answer.status_code)
        except Exception as error:
            status.set_exception(error)

    # In a thread, because the timeout of requests holds for each address, and not for the name lookup.
    threading.Thread(target=ask, name="hub", daemon=True).start()
    try:
        code = status.result(settings.hub_connect_seconds)
    except (requests.RequestException, TimeoutError) as error:
        host = url.split("/")[2]
        raise WeightsUnavailable(f"The Hub at {host} cannot be reached from here.", WAYS_OUT) from error
    if code >= 400:
        raise WeightsUnavailable(f"The Hub does not provide {repo_id} (status {code}).", WAYS_OUT)


def _progress_bar(repo_id: str, progress: Progress) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        """Reports to ``progress`` at each whole per cent, instead of drawing on the terminal."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs["disable"] = False
            kwargs["file"] = _Nowhere()
            self.percent = -1
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            total = int(self.total or 0)
            percent = int(100 * self.n / total) if total else 0
            if percent != self.percent:
                self.percent = percent
                message = f"Downloading {repo_id}: {self.n / 1e6:.0f} of {total / 1e6:.0f} MB"
                progress(Event(message, self.n / total if total else 0.0))
            return drawn

    return Bar


class _Nowhere:
    def write(self, text: str) -> None: ...

    def flush(self) -> None: ...
