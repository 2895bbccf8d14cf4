"""``bundle``: zips a built file with what an app needs."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy_core.cli.outcome import Outcome
from deploy_core.settings import Settings
from deploy_core.storage.bundles import bundle_file

SUMMARY = "Zip a built file with what an app needs: labels, preprocessing, code, a test."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a file that 'build' wrote")
    sub.add_argument("--out", type=Path, metavar="FILE", help="the zip to write (beside the artifact)")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    out = bundle_file(options.artifact, limits, options.out)
    document = {"artifact": str(options.artifact), "bundle": str(out), "bytes": out.stat().st_size}
    return document, f"{out}: {out.stat().st_size / 1e6:.2f} MB", 0
