"""``store``: lists what the app has built and keeps."""

from __future__ import annotations

import argparse

from deploy_core.cli.outcome import Outcome, table
from deploy_core.settings import Settings
from deploy_core.storage.store import Store

SUMMARY = "List what the app has built and keeps."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--clear", action="store_true", help="remove what is not in use")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    store = Store(limits)
    if options.clear:
        store.clear()
    entries = store.entries()
    document = {
        "folder": str(store.root),
        "bytes": store.size(),
        "limit": limits.store_bytes,
        "artifacts": [
            {
                "key": stored.key,
                "model": stored.record.request.model,
                "weights": stored.record.request.weights,
                "format": stored.artifact.format,
                "file": str(stored.path),
                "bytes": stored.artifact.bytes,
                "sha256": stored.artifact.sha256,
            }
            for stored in entries
        ],
    }
    lines = [(stored.key, f"{stored.artifact.bytes / 1e6:.2f} MB", stored.artifact.file) for stored in entries]
    text = table(("Artifact, the last used first", "Size", "File"), lines)
    text += f"\n\n{store.size() / 1e6:.2f} of {limits.store_bytes / 1e6:.0f} MB in {store.root}"
    if options.clear and entries:
        text += "\nWhat is listed is in use, and was spared."
    return document, text, 0
