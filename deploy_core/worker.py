"""``python -m deploy_core.worker JOB``: one build, profile or download in a process of its own.

JOB is a folder with ``request.json``; what happens is appended to ``events.jsonl`` there, so that whoever looks
later, a reloaded page or another visitor, finds it. It ends when standard input does: with whoever started it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy_core import build, hub, models, profile, settings
from deploy_core.errors import DeployError
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, Event, Progress

REQUEST = "request.json"
EVENTS = "events.jsonl"
LOG = "output.log"


def run_build(request: dict[str, Any], limits: Settings, progress: Progress) -> None:
    folder = Path(request.pop("folder"))
    build.build(BuildRequest(**request | {"formats": tuple(request["formats"])}), folder, limits, progress)


def run_profile(request: dict[str, Any], limits: Settings, progress: Progress) -> None:
    if request["build"]:
        run_build(request["build"], limits, progress)
    folder = Path(request["folder"])
    report = profile.profile(folder, limits, request["repeats"], request["threads"], progress)
    profile.save(report, folder / profile.REPORT)


def run_download(request: dict[str, Any], limits: Settings, progress: Progress) -> None:
    spec = models.find(request["model"])
    if spec.hub_id is not None:
        hub.download(spec.hub_id, progress, limits)


JOBS: dict[str, Callable[[dict[str, Any], Settings, Progress], None]] = {
    "build": run_build,
    "profile": run_profile,
    "download": run_download,
}


def main(job: Path) -> int:
    """Does what the job's request says; the last event tells how it ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    order = json.loads((job / REQUEST).read_text())

    def tell(kind: str, value: Any) -> None:
        with (job / EVENTS).open("a") as events:
            events.write(json.dumps({kind: value}) + "\n")

    def progress(event: Event) -> None:
        tell("event", dataclasses.asdict(event))

    try:
        JOBS[order["kind"]](order["request"], settings.load(), progress)
    except DeployError as error:
        tell("error", {"problem": error.problem, "remedy": error.remedy})
        return 1
    tell("end", True)
    return 0


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
