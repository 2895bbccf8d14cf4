"""``models``: lists the models of the catalogue."""

from __future__ import annotations

import argparse

from deploy_core.cli.outcome import Outcome, table
from deploy_core.models import catalogue
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings

SUMMARY = "List the models of the catalogue."


def add_arguments(_: argparse.ArgumentParser) -> None:
    """The command takes no arguments."""


def run(_: argparse.Namespace, __: Settings) -> Outcome:
    rows = [
        {
            "name": spec.name,
            "source": spec.source,
            "parameters": spec.parameters,
            "input_size": spec.input_size,
            "classes": spec.classes,
        }
        for spec in catalogue.MODELS.values()
    ]
    lines = [
        (spec.name, f"{spec.parameters / 1e6:.1f} M", f"{spec.input_size} px", spec.knows, _where(spec))
        for spec in catalogue.MODELS.values()
    ]
    return rows, table(("Model", "Parameters", "Input", "Knows", "Weights"), lines), 0


def _where(spec: ModelSpec) -> str:
    if spec.is_embedded:
        return "embedded"
    return "in the local cache" if spec.is_here() else f"{spec.download_bytes / 1e6:.0f} MB from the Hub"
