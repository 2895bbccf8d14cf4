"""``python -m deploy_core``: the contract that scripts call.

``--json`` prints one JSON document on standard output; progress and logs go to standard error. A wrong option or file
is one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from deploy_core import settings
from deploy_core.cli import (
    build_files,
    bundle,
    classify,
    compare,
    evaluate,
    import_model,
    models,
    profile_files,
    store,
    verify,
)
from deploy_core.cli.outcome import EXIT_INTERRUPTED, EXIT_MISTAKE, Outcome
from deploy_core.cli.parser import Parser
from deploy_core.errors import DeployError
from deploy_core.settings import Settings


class Command(Protocol):
    """The contract of a command's module."""

    SUMMARY: str

    def add_arguments(self, sub: argparse.ArgumentParser, /) -> None: ...

    def run(self, options: argparse.Namespace, limits: Settings, /) -> Outcome: ...


COMMANDS: Mapping[str, Command] = {
    "models": models,
    "classify": classify,
    "import": import_model,
    "build": build_files,
    "profile": profile_files,
    "compare": compare,
    "evaluate": evaluate,
    "bundle": bundle,
    "verify": verify,
    "store": store,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter gets its number. The work is done by then, and its answer must come out.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace, Settings], Outcome] = options.command
        document, text, status = command(options, settings.load())
    except DeployError as error:
        print(f"deploy_core: {error}".replace("\n", " "), file=sys.stderr)
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        print("deploy_core: interrupted; no half-written file was left.", file=sys.stderr)
        return EXIT_INTERRUPTED
    try:
        print(json.dumps(document, indent=2) if options.json else text, flush=True)
    except OSError as error:
        # Otherwise Python reports the same error again when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"deploy_core: The answer could not be written ({error.strerror}).", file=sys.stderr)
            return EXIT_MISTAKE
    return status


def _parser() -> Parser:
    parser = Parser(prog="python -m deploy_core", description="From a DeiT checkpoint to a file that runs on a phone.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub: Parser = commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        sub.add_argument("--json", action="store_true", help="one JSON document on standard output")
        sub.set_defaults(command=command.run)
        command.add_arguments(sub)
    return parser
