"""Which model and weights a command is about."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy_core import build
from deploy_core.cli import paths
from deploy_core.errors import DeployError, InvalidCheckpoint, InvalidRequest
from deploy_core.formats import by_filename
from deploy_core.models.own import card
from deploy_core.settings import Settings


def add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--model", type=paths.name_or_path, help="a name that 'models' lists (demo), or a file that 'import' wrote"
    )
    sub.add_argument(
        "--weights", type=paths.name_or_path, help="pretrained (the default), random, or a checkpoint file"
    )


def origin(path: Path, options: argparse.Namespace, limits: Settings) -> tuple[str, str]:
    """The model and weights of an artifact: from the manifest in its folder, or from the options."""
    row = by_filename(path)
    if row.is_program:
        warn(f"{path.name} is a {row.family.title} program, and loading it runs it")
    try:
        built = build.read_result(path.parent)
    except DeployError:
        built = None
    if built is None or path.name not in {artifact.file for artifact in built.artifacts}:
        return options.model or _model_within(path) or limits.default_model, options.weights or "unknown"
    for option, asked, true in (("--model", options.model, built.model), ("--weights", options.weights, built.weights)):
        if asked not in (None, true):
            raise InvalidRequest(f"{path.name} was built with {option} {true}, not {asked}.", f"Leave {option} out.")
    return built.model, built.weights


def warn(what: str) -> None:
    print(f"deploy_core: {what}: give only files of somebody you trust.", file=sys.stderr)


def _model_within(path: Path) -> str | None:
    """The reference of a person's own model, if the file is one."""
    try:
        return card.read(path).reference if card.is_model_file(path.name) else None
    except InvalidCheckpoint:
        return None
