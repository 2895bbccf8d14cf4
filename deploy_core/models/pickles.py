"""Inspects a file of ``torch.save`` without loading it. Nothing in the file is run."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

# torch builds tensors with names from these packages. All other names in a pickle are code.
DATA = ("torch", "collections", "numpy", "argparse", "_codecs")
# Other opcodes that name code. torch never writes them.
CODE = ("STACK_GLOBAL", "INST")
# The format before archives has four pickles: a magic number, a version, the machine, the tensors. Bytes follow.
PICKLES = 4
MOST_STEPS = 1_000_000


def calls_code(path: Path) -> bool:
    """Whether loading the file as a pickle would call anything besides torch and plain data classes."""
    try:
        with _pickles(path) as file:
            return any(_names_code(file) for _ in range(PICKLES))
    except Exception:
        # Damaged files raise many kinds of exceptions.
        return False


def is_script(path: Path) -> bool:
    """Whether the file is a TorchScript archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


@contextmanager
def _pickles(path: Path) -> Iterator[IO[bytes]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as file:
            yield file


def _names_code(file: IO[bytes]) -> bool:
    return any(
        opcode.name in CODE or (opcode.name == "GLOBAL" and str(argument).split(".")[0].split(" ")[0] not in DATA)
        for opcode, argument, _ in islice(pickletools.genops(file), MOST_STEPS)
    )
