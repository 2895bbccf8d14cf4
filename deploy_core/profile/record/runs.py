"""The runs that this app has measured or was given: one JSON file each, named by its content, with its traces."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.files import atomic_write, keep_newest, listed, make_folder, remove_leftovers
from deploy_core.profile.record.record import Record, trace_name, weights_name
from deploy_core.profile.record.saved import parse_record, read_record, save_record
from deploy_core.settings import Settings

KEY = re.compile(r"[0-9a-f]{16}")
LARGEST_RECORD = 5_000_000
MOST_RUNS = 100


class Runs:
    """Runs that were measured here, which ``of`` lists, and runs brought by visitors, which only their key opens.

    Those of a visitor's own model lie in a folder of the visitor's own. Of each kind the newest ``MOST_RUNS`` stay.
    Where the folder cannot be looked into, all raise StorageFailed.
    """

    def __init__(self, settings: Settings) -> None:
        self._measured = settings.home / "runs"
        self._given = self._measured / "given"

    def keep(self, run: Record, traces: Path | None = None, owner: str = "") -> str:
        """Keeps a run that was measured here, and its traces in the folder ``traces``; returns its key.

        ``owner`` is whose own model it is, if it is one's own. Raises StorageFailed.
        """
        folder = self._measured / owner
        key = self._save(run, folder)
        if traces:
            with (
                atomic_write(folder / f"{key}.zip") as temporary,
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for name in (trace_name(row.file) for row in run.rows if row.operators):
                    archive.write(traces / name, name)
        return key

    def take_in(self, data: bytes) -> str:
        """Keeps a run made elsewhere, from the JSON of ``profile --json``; returns its key.

        Raises InvalidArtifact for what is no record of this version.
        """
        if len(data) > LARGEST_RECORD:
            raise InvalidArtifact("This file is too large for a record.", "Give one that 'profile --json' wrote.")
        return self._save(parse_record(data), self._given)

    def get(self, key: str) -> Record:
        """The run of a key. Raises InvalidRequest where there is none, InvalidArtifact for a damaged one."""
        for folder in self._folders():
            with suppress(FileNotFoundError, NotADirectoryError):
                if KEY.fullmatch(key):
                    path = folder / f"{key}.json"
                    return _read(path, path.stat().st_mtime_ns)
        raise InvalidRequest(f"There is no run '{key}' here.", "Choose one from the list, or measure again.")

    def has(self, key: str) -> bool:
        return self._find(f"{key}.json", self._folders()) is not None

    def was_measured_here(self, key: str) -> bool:
        return self._find(f"{key}.json", self._folders()[:-1]) is not None

    def traces(self, key: str) -> Path | None:
        """The archive of a run's traces, where there is one."""
        return self._find(f"{key}.zip", self._folders()[:-1])

    def of(self, model: str, weights: str, optimize: str, owner: str = "") -> tuple[Record, ...]:
        """The runs measured here of a model with these weights and this way to optimize, the newest first.

        ``owner`` is as for ``keep``. Damaged ones are left out.
        """
        wanted = (model, weights_name(weights), optimize)
        found = []
        for path in _files(self._measured / owner):
            try:
                run = _read(path, path.stat().st_mtime_ns)
            except (InvalidArtifact, FileNotFoundError):
                continue
            if (run.model, run.weights, run.optimize) == wanted:
                found.append(run)
        return tuple(sorted(found, key=lambda run: run.measured_at, reverse=True))

    def forget(self, owner: str) -> None:
        """Removes the runs of a visitor's own models."""
        shutil.rmtree(self._measured / owner, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what a killed process left half-written, and renames runs that an older version named.

        Their old addresses lead to them. For the start, when nobody writes.
        """
        remove_leftovers(self._measured)
        remove_leftovers(self._given)
        for folder in self._folders():
            for path in _files(folder):
                with suppress(InvalidArtifact):
                    _rename(path, read_record(path).run_id)

    def _folders(self) -> tuple[Path, ...]:
        """Where runs lie, those that were brought from elsewhere last."""
        own = (path for path in listed(self._measured) if path.is_dir() and path != self._given)
        return self._measured, *own, self._given

    def _find(self, name: str, folders: Sequence[Path]) -> Path | None:
        if KEY.fullmatch(Path(name).stem) is None:
            return None
        return next((folder / name for folder in folders if (folder / name).is_file()), None)

    def _save(self, run: Record, folder: Path) -> str:
        make_folder(folder)
        save_record(run, folder / f"{run.run_id}.json")
        for path in keep_newest(folder, MOST_RUNS):
            path.with_suffix(".zip").unlink(missing_ok=True)
        return run.run_id


def _files(folder: Path) -> list[Path]:
    """Every run once: an older name is a link."""
    return [path for path in folder.glob("*.json") if not path.is_symlink()]


def _rename(path: Path, key: str) -> None:
    """A run is named by its content, which a newer version reads in its own way."""
    for old in (path, path.with_suffix(".zip")):
        if path.stem != key and old.is_file():
            old.symlink_to(old.rename(old.with_stem(key)).name)


@lru_cache(maxsize=MOST_RUNS)
def _read(path: Path, changed_ns: int) -> Record:
    """A page lists every run at each click, and a run never changes."""
    del changed_ns
    return read_record(path)
