"""The runs that this app has measured or was given: one JSON file each, named by its content, with its traces."""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.files import atomic_write, make_folder, remove_leftovers
from deploy_core.profile import record
from deploy_core.profile.record import Record, weights_name
from deploy_core.settings import Settings

KEY = re.compile(r"[0-9a-f]{16}")
LARGEST_RECORD = 5_000_000
MOST_RUNS = 100


class Runs:
    """Runs that were measured here, which ``of`` lists, and runs brought by visitors, which only their key opens.

    Of each kind the newest ``MOST_RUNS`` stay.
    """

    def __init__(self, settings: Settings) -> None:
        self._measured = settings.home / "runs"
        self._given = self._measured / "given"

    def keep(self, run: Record, traces: Path | None = None) -> str:
        """Keeps a run that was measured here, and the files of the folder ``traces``; returns its key.

        Raises StorageFailed.
        """
        key = self._save(run, self._measured)
        if traces:
            with (
                atomic_write(self._measured / f"{key}.zip") as temporary,
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for path in sorted(traces.iterdir()):
                    archive.write(path, path.name)
        return key

    def take_in(self, data: bytes) -> str:
        """Keeps a run made elsewhere, from the JSON of ``profile --json``; returns its key.

        Raises InvalidArtifact for what is no record of this version.
        """
        if len(data) > LARGEST_RECORD:
            raise InvalidArtifact("This file is too large for a record.", "Give one that 'profile --json' wrote.")
        return self._save(record.parse(data), self._given)

    def get(self, key: str) -> Record:
        """The run of a key. Raises InvalidRequest where there is none, InvalidArtifact for a damaged one."""
        for folder in (self._measured, self._given):
            with suppress(FileNotFoundError):
                if KEY.fullmatch(key):
                    path = folder / f"{key}.json"
                    return _read(path, path.stat().st_mtime_ns)
        raise InvalidRequest(f"There is no run '{key}' here.", "Choose one from the list, or measure again.")

    def has(self, key: str) -> bool:
        return self.was_measured_here(key) or (
            KEY.fullmatch(key) is not None and (self._given / f"{key}.json").is_file()
        )

    def was_measured_here(self, key: str) -> bool:
        return KEY.fullmatch(key) is not None and (self._measured / f"{key}.json").is_file()

    def traces(self, key: str) -> Path | None:
        """The archive of a run's traces, where there is one."""
        path = self._measured / f"{key}.zip"
        return path if KEY.fullmatch(key) and path.is_file() else None

    def of(self, model: str, weights: str, optimize: str) -> tuple[Record, ...]:
        """The runs measured here of a model with these weights and this way to optimize, the newest first.

        Damaged ones are left out.
        """
        wanted = (model, weights_name(weights), optimize)
        found = []
        for path in self._measured.glob("*.json"):
            try:
                run = _read(path, path.stat().st_mtime_ns)
            except (InvalidArtifact, FileNotFoundError):
                continue
            if (run.model, run.weights, run.optimize) == wanted:
                found.append(run)
        return tuple(sorted(found, key=lambda run: run.measured_at, reverse=True))

    def sweep(self) -> None:
        """Removes what a killed process left half-written; for the start, when nobody writes."""
        remove_leftovers(self._measured)
        remove_leftovers(self._given)

    def _save(self, run: Record, folder: Path) -> str:
        make_folder(folder)
        record.save(run, folder / f"{run.key}.json")
        oldest_last = sorted(folder.glob("*.json"), key=_changed, reverse=True)
        for path in oldest_last[MOST_RUNS:]:
            path.unlink(missing_ok=True)
            path.with_suffix(".zip").unlink(missing_ok=True)
        return run.key


def _changed(path: Path) -> int:
    """When a file was written last; long ago where another process has just removed it."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=MOST_RUNS)
def _read(path: Path, changed_ns: int) -> Record:
    """A page lists every run at each click, and a run never changes."""
    del changed_ns
    return record.read(path)
