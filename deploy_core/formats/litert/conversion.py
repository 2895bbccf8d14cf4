"""From the model to a LiteRT file, and from that to its int8 twin; ``converter`` does the work in another process."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy_core.errors import FormatUnavailable, JobFailed, TookTooLong
from deploy_core.formats.exporting import program, quiet
from deploy_core.formats.format import Workbench
from deploy_core.formats.litert import converter, running

PROJECT = Path(__file__).parents[3]
# DeiT-Base takes 30 seconds on two cores, and a minute on busy ones.
LONGEST_SECONDS = 900.0
WHAT = "The conversion to LiteRT"

log = logging.getLogger(__name__)


def convert(bench: Workbench) -> bytes:
    import torch

    def write(source: Path) -> None:
        with quiet():
            torch.export.save(program(bench), source)

    return _converted("convert", write, ".pt2")


def quantize(bench: Workbench) -> bytes:
    model: bytes = bench.results["litert"]
    return _converted("quantize", lambda source: source.write_bytes(model), ".tflite")


def save(bench: Workbench, key: str, model: bytes, path: Path) -> None:
    path.write_bytes(model)
    bench.delegations[key] = running.delegation(path)


def _converted(verb: str, write: Callable[[Path], Any], suffix: str) -> bytes:
    """What the converter makes of the file that ``write`` writes.

    Raises TookTooLong, FormatUnavailable or JobFailed.
    """
    with tempfile.TemporaryDirectory(prefix="deit-deploy-") as folder:
        source, target = Path(folder) / f"source{suffix}", Path(folder) / "target.tflite"
        write(source)
        try:
            process = subprocess.run(  # noqa: S603
                [sys.executable, "-W", "ignore", "-m", converter.__name__, verb, str(source), str(target)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(PROJECT)},
                timeout=LONGEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TookTooLong(
                f"{WHAT} took longer than {LONGEST_SECONDS / 60:.0f} minutes.",
                "Try again when the machine is less busy.",
            ) from error
        _require_success(process.returncode, process.stdout.decode(errors="replace"))
        return target.read_bytes()


def _require_success(status: int, output: str) -> None:
    # The kernel kills where memory runs out.
    if status in (converter.OUT_OF_MEMORY, -signal.SIGKILL):
        raise FormatUnavailable(f"{WHAT} ran out of memory.", "Give the app more memory, or choose a smaller model.")
    if status:
        log.error("%s failed:\n%s", WHAT, output)
        said = (output.strip().splitlines() or [f"status {status}"])[-1]
        raise JobFailed(f"{WHAT} failed ({said[:300]}).", "The server's log has the details.")
