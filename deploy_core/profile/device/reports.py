"""The reports of visitors' devices: one JSON file each, named by its content."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from deploy_core import documents
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.files import keep_newest, make_folder, remove_leftovers
from deploy_core.profile.device import report
from deploy_core.profile.device.report import Report
from deploy_core.settings import Settings
from deploy_core.storage.entry import Stored

KEY = re.compile(r"[0-9a-f]{16}")
MOST_REPORTS = 200


class Reports:
    """Only its key opens a report, so that nobody sees another's device.

    Those of a visitor's own model lie in a folder of the visitor's own. Of each kind the newest ``MOST_REPORTS`` stay.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "reports"

    def keep(self, data: bytes, offered: dict[str, Stored] | None = None, owner: str = "") -> str:
        """Keeps a report from its JSON; returns its key.

        ``offered`` are the files that the device was given, by format, where they were given here; ``owner`` is whose
        own model it is. Raises InvalidArtifact for what is no report, or one of other files; StorageFailed.
        """
        found = report.parse(data)
        for row in found.rows if offered is not None else ():
            stored = (offered or {}).get(row.format)
            if stored is None or stored.artifact.sha256 != row.sha256:
                raise InvalidArtifact(
                    "This was measured with another file than the one that is here.", "Measure again."
                )
        folder = make_folder(self._folder / owner)
        documents.write(folder / f"{found.key}.json", found)
        keep_newest(folder, MOST_REPORTS)
        return found.key

    def get(self, key: str) -> Report:
        """The report of a key. Raises InvalidRequest where there is none, InvalidArtifact for a damaged one."""
        path = self._find(key)
        if path is None:
            raise InvalidRequest(f"There is no report '{key}' here.", "Measure again on the device.")
        return report.parse(path.read_bytes())

    def has(self, key: str) -> bool:
        return self._find(key) is not None

    def forget(self, owner: str) -> None:
        """Removes the reports about a visitor's own models."""
        shutil.rmtree(self._folder / owner, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what a killed process left half-written."""
        remove_leftovers(self._folder)

    def _find(self, key: str) -> Path | None:
        if KEY.fullmatch(key) is None:
            return None
        return next((path for pattern in ("", "*/") for path in self._folder.glob(f"{pattern}{key}.json")), None)
