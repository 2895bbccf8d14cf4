"""The runs that this app keeps: a JSON file for each, named by a hash of its content, and an archive of its traces."""

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

RUN_ID = re.compile(r"[0-9a-f]{16}")
LARGEST_RECORD = 5_000_000
MOST_RUNS = 100


class Runs:
    """Runs that were measured here, which ``of`` lists, and runs that visitors uploaded, which need their ID.

    Runs of a visitor's own model are in a folder for this visitor. Each folder keeps the newest ``MOST_RUNS``.
    Every method raises StorageFailed if the folder cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._measured = settings.home / "runs"
        self._uploaded = self._measured / "given"

    def keep(self, run: Record, traces: Path | None = None, owner: str = "") -> str:
        """Keeps a run that was measured here, with its traces from the folder ``traces``; returns its ID.

        ``owner`` is the visitor whose own model it is, empty for a model of the catalogue. Raises StorageFailed.
        """
        folder = self._measured / owner
        run_id = self._save(run, folder)
        if traces:
            with (
                atomic_write(folder / f"{run_id}.zip") as temporary,
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for path in (traces / trace_name(row.file) for row in run.rows):
                    if path.is_file():
                        archive.write(path, path.name)
        return run_id

    def take_in(self, data: bytes) -> str:
        """Keeps a run of another machine from the JSON of ``profile --json``; returns its ID.

        Raises InvalidArtifact as ``parse_record`` does.
        """
        if len(data) > LARGEST_RECORD:
            raise InvalidArtifact("This file is too large for a record.", "Give one that 'profile --json' wrote.")
        return self._save(parse_record(data), self._uploaded)

    def get(self, run_id: str) -> Record:
        """The run with this ID. Raises InvalidRequest if there is none, InvalidArtifact for a damaged one."""
        for folder in self._folders():
            with suppress(FileNotFoundError, NotADirectoryError):
                if RUN_ID.fullmatch(run_id):
                    path = folder / f"{run_id}.json"
                    return _read(path, path.stat().st_mtime_ns)
        raise InvalidRequest(f"There is no run '{run_id}' here.", "Choose one from the list, or measure again.")

    def has(self, run_id: str) -> bool:
        return self._find(f"{run_id}.json", self._folders()) is not None

    def was_measured_here(self, run_id: str) -> bool:
        return self._find(f"{run_id}.json", self._folders()[:-1]) is not None

    def traces(self, run_id: str) -> Path | None:
        """The archive of a run's traces; None if there is none."""
        return self._find(f"{run_id}.zip", self._folders()[:-1])

    def of(self, model: str, weights: str, optimize: str, owner: str = "") -> tuple[Record, ...]:
        """The runs of a model with these weights and this optimization that were measured here, the newest first.

        ``owner`` is as for ``keep``. Leaves out damaged runs.
        """
        wanted = (model, weights_name(weights), optimize)
        runs = []
        for path in _files(self._measured / owner):
            try:
                run = _read(path, path.stat().st_mtime_ns)
            except (InvalidArtifact, FileNotFoundError):
                continue
            if (run.model, run.weights, run.optimize) == wanted:
                runs.append(run)
        return tuple(sorted(runs, key=lambda run: run.measured_at, reverse=True))

    def forget(self, owner: str) -> None:
        """Removes the runs of a visitor's own models."""
        shutil.rmtree(self._measured / owner, ignore_errors=True)

    def sweep(self) -> None:
        """Removes half-written files of a killed process, and renames runs that an older version of the app named.

        Their old addresses still work. Call it at the start, before anything is written.
        """
        remove_leftovers(self._measured)
        remove_leftovers(self._uploaded)
        for folder in self._folders():
            for path in _files(folder):
                with suppress(InvalidArtifact):
                    _rename(path, read_record(path).run_id)

    def _folders(self) -> tuple[Path, ...]:
        """The folders with runs; the one with uploaded runs is last."""
        own = (path for path in listed(self._measured) if path.is_dir() and path != self._uploaded)
        return self._measured, *own, self._uploaded

    def _find(self, name: str, folders: Sequence[Path]) -> Path | None:
        if RUN_ID.fullmatch(Path(name).stem) is None:
            return None
        return next((folder / name for folder in folders if (folder / name).is_file()), None)

    def _save(self, run: Record, folder: Path) -> str:
        make_folder(folder)
        save_record(run, folder / f"{run.run_id}.json")
        for path in keep_newest(folder, MOST_RUNS):
            path.with_suffix(".zip").unlink(missing_ok=True)
        return run.run_id


def _files(folder: Path) -> list[Path]:
    """The file of every run. An older name of a run is a link, and left out."""
    return [path for path in folder.glob("*.json") if not path.is_symlink()]


def _rename(path: Path, run_id: str) -> None:
    """Renames a run whose ID has changed, because a newer version of the app reads its content differently."""
    for old in (path, path.with_suffix(".zip")):
        if path.stem != run_id and old.is_file():
            old.symlink_to(old.rename(old.with_stem(run_id)).name)


@lru_cache(maxsize=MOST_RUNS)
def _read(path: Path, changed_ns: int) -> Record:
    """Cached, because a page lists every run at each click; a run never changes."""
    del changed_ns
    return read_record(path)
