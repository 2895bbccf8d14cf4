"""Builds the artifacts that ship with the project, in the layout of a store.

    python -m deploy_core.training.ship

Run it after a change of the weights, of the preprocessing, or of the versions of packages.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from deploy_core import build, embedded, settings
from deploy_core.storage.locks import LOCK
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest

FORMATS = ("onnx_int8",)


def main() -> None:
    request = BuildRequest("demo", "pretrained", FORMATS)
    with tempfile.TemporaryDirectory() as home:
        limits = replace(settings.load(), home=Path(home))
        store = Store(limits)
        with open_shelf(store, request) as shelf:
            build.build(request, shelf, limits, lambda event: print(event.message))
        shutil.rmtree(embedded.ARTIFACTS, ignore_errors=True)
        for stored in (store.find(request)[key] for key in FORMATS):
            shutil.copytree(stored.folder, embedded.ARTIFACTS / stored.key, ignore=shutil.ignore_patterns(LOCK))


if __name__ == "__main__":
    main()
