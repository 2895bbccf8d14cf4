"""The parser of every command: its mistakes are sentences, and its paths are of one type."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from deploy_core.cli import paths
from deploy_core.errors import InvalidRequest


class Parser(argparse.ArgumentParser):
    """Reads every argument of ``type=Path`` with ``paths.path``. Raises InvalidRequest for a mistake."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", Path, paths.path)

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{message[0].upper()}{message[1:]}.", f"See '{self.prog} --help'.")
