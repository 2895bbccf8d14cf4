"""``verify``: asks a bundle's file again."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy_core import documents
from deploy_core.bundle.check import verify
from deploy_core.cli.outcome import EXIT_INCOMPLETE, Outcome
from deploy_core.cli.subject import warn
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings

SUMMARY = "Ask a bundle's file again, and say whether its expected answers hold."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("bundle", type=Path, metavar="BUNDLE", help="a zip that 'bundle' wrote, from somebody you trust")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    kinds = " or ".join(dict.fromkeys(row.family.title for row in FORMATS.values() if row.is_program))
    warn(f"A bundle may hold a {kinds} program, and verifying runs it")
    check = verify(options.bundle, limits)
    return documents.plain(check), check.text, 0 if check.holds else EXIT_INCOMPLETE
