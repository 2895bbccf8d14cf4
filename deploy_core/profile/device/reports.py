"""The reports of visitors' devices that this app keeps: a JSON file for each, named by a hash of its content."""

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

REPORT_ID = re.compile(r"[0-9a-f]{16}")
MOST_REPORTS = 200


class Reports:
    """A report needs its ID, so that visitors do not see each other's devices.

    Reports on a visitor's own model are in a folder for this visitor. Each folder keeps the newest ``MOST_REPORTS``.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "reports"

    def keep(self, data: bytes, offered: dict[str, Stored] | None = None, owner: str = "") -> str:
        """Keeps a report from its JSON; returns its ID.

        ``offered`` has the files that the device measured, by format, if they came from here. ``owner`` is the visitor
        whose own model it is. Raises InvalidArtifact for other JSON and for a report on other files; StorageFailed.
        """
        parsed = report.parse(data)
        for row in parsed.rows if offered is not None else ():
            stored = (offered or {}).get(row.format)
            if stored is None or stored.artifact.sha256 != row.sha256:
                raise InvalidArtifact(
                    "This was measured with another file than the one that is here.", "Measure again."
                )
        folder = make_folder(self._folder / owner)
        documents.write(folder / f"{parsed.report_id}.json", parsed)
        keep_newest(folder, MOST_REPORTS)
        return parsed.report_id

    def get(self, report_id: str) -> Report:
        """The report with this ID. Raises InvalidRequest if there is none, InvalidArtifact for a damaged one."""
        path = self._find(report_id)
        if path is None:
            raise InvalidRequest(f"There is no report '{report_id}' here.", "Measure again on the device.")
        return report.parse(path.read_bytes())

    def has(self, report_id: str) -> bool:
        return self._find(report_id) is not None

    def forget(self, owner: str) -> None:
        """Removes the reports on a visitor's own models."""
        shutil.rmtree(self._folder / owner, ignore_errors=True)

    def sweep(self) -> None:
        """Removes half-written files of a killed process."""
        remove_leftovers(self._folder)

    def _find(self, report_id: str) -> Path | None:
        if REPORT_ID.fullmatch(report_id) is None:
            return None
        return next((path for pattern in ("", "*/") for path in self._folder.glob(f"{pattern}{report_id}.json")), None)
