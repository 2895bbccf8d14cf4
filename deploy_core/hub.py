"""One weights file from the Hugging Face Hub, a mirror of it (``HF_ENDPOINT``), or the local cache."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from deploy_core.errors import WeightsUnavailable
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress

FILENAME = "model.safetensors"
WAYS_OUT = (
    "Choose the embedded model 'demo', set HF_ENDPOINT to a mirror in reach, or name a checkpoint file as weights."
)


def is_cached(repo_id: str) -> bool:
    """Whether the weights of ``repo_id`` lie in the local Hub cache."""
    return _cached(repo_id) is not None


def content(repo_id: str) -> str:
    """The hash that the cache names the weights' content by; the repository's name where they are not cached."""
    cached = _cached(repo_id)
    return cached.resolve().name if cached is not None and cached.is_symlink() else repo_id


def download(repo_id: str, progress: Progress, settings: Settings) -> Path:
    """The path of the weights of ``repo_id``, downloaded if they are not in the cache yet.

    Raises WeightsUnavailable within seconds where the Hub is out of reach or has no such file.
    """
    cached = _cached(repo_id)
    if cached is not None:
        return cached
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        raise WeightsUnavailable(
            f"The weights of {repo_id} are not in the local cache, and HF_HUB_OFFLINE forbids a download.", WAYS_OUT
        )
    _require_reachable(repo_id, settings)
    try:
        return Path(hf_hub_download(repo_id, FILENAME, tqdm_class=_progress_bar(repo_id, progress)))
    except HfHubHTTPError as error:
        raise WeightsUnavailable(
            f"The Hub refused the weights of {repo_id} ({error.response.status_code}).", WAYS_OUT
        ) from error
    except Exception as error:
        # The HTTP and the Xet client below raise kinds of their own, which derive from plain Exception.
        raise WeightsUnavailable(f"The download of {repo_id} broke off ({type(error).__name__}).", WAYS_OUT) from error


def _cached(repo_id: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo_id, FILENAME)
    return Path(found) if isinstance(found, str) else None


def _require_reachable(repo_id: str, settings: Settings) -> None:
    # hf_hub_download retries five times, for 23 seconds on a machine without a network; one question settles it.
    import requests
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repo_id, FILENAME)
    status: Future[int] = Future()

    def ask() -> None:
        try:
            answer = requests.head(url, timeout=settings.hub_connect_seconds, allow_redirects=False)
            status.set_result(answer.status_code)
        except Exception as error:
            status.set_exception(error)

    # In a thread of its own: the timeout of requests is one for each address, and names none for the look-up.
    threading.Thread(target=ask, name="hub", daemon=True).start()
    try:
        code = status.result(settings.hub_connect_seconds)
    except (requests.RequestException, TimeoutError) as error:
        host = url.split("/")[2]
        raise WeightsUnavailable(f"The Hub at {host} is out of reach from here.", WAYS_OUT) from error
    if code >= 400:
        raise WeightsUnavailable(f"The Hub does not hand out {repo_id} (status {code}).", WAYS_OUT)


def _progress_bar(repo_id: str, progress: Progress) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        """Tells the caller instead of drawing on the terminal, once for each whole per cent."""

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
