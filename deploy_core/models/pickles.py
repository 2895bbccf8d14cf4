"""What a file of ``torch.save`` asks for, told without loading it: nothing in it is run."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

# The packages whose classes and functions torch makes tensors of; the rest of a pickle's globals is code to it.
DATA = ("torch", "collections", "numpy", "argparse", "_codecs")
# Other ways to name code, which torch never writes.
CODE = ("STACK_GLOBAL", "INST")
# Before there were archives: a mark, a version, the machine, the tensors; their bytes follow.
PICKLES = 4
MOST_STEPS = 1_000_000


def wants_code(path: Path) -> bool:
    """Whether loading the file as a pickle would call what is neither torch's nor plain data's."""
    try:
        with _pickles(path) as file:
            return any(_names_code(file) for _ in range(PICKLES))
    except Exception:
        # Damaged files raise a dozen kinds of exception.
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
