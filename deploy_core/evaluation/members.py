"""The files and folders of a labelled set, their names, and the errors for a set that is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy_core.errors import InvalidPictureSet

LAYOUT = "Give a folder, or a tar or zip archive of one, with a folder for each class: cat/1.jpg, dog/2.jpg."
REPACK = "Pack the pictures again, as plain files and folders in a tar or zip archive."

# Pictures hardly compress. An archive that grows a hundredfold is made to fill the memory or to keep a machine busy.
# A small set of flat colours may grow that much, up to a size that does no harm.
UNPACKED_BYTES = 100_000_000
UNPACKED_RATIO = 100
NAME_SHOWN = 100
# Folders that systems add: macOS's archives, Synology's and QNAP's disks, Linux's and Windows' volumes, Python.
ADDED = frozenset(
    {
        "__MACOSX",
        "@eaDir",
        "#recycle",
        "@Recycle",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        "__pycache__",
    }
)


@dataclass(frozen=True)
class Member:
    """A file or folder of a set; ``name`` is its path inside the set, with slashes.

    ``read`` returns a picture's bytes, None for a damaged or too large one. Call it before you ask for the next member.
    """

    name: str
    is_folder: bool
    read: Callable[[], bytes | None]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.name.split("/"))


def member_name(path: Path, name: str) -> str:
    """The name of a member in an archive, without empty and ``.`` parts; empty for the archive's root folder.

    Raises InvalidPictureSet for a name that is not a relative path with slashes.
    """
    if not is_decodable(name):
        raise unknown_encoding(path, name)
    if "\0" in name:
        raise refused(path, name, "under a name that is no text")
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise refused(path, name, "under a name that is not relative, with slashes")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(path, name, "under a name that leads out of the archive")
    return "/".join(parts)


def is_decodable(name: str) -> bool:
    """Whether a file name is UTF-8. Python represents other bytes as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def is_hidden(part: str) -> bool:
    """Whether a file or folder is ignored: hidden on Unix, or added by a system."""
    return part.startswith(".") or part in ADDED


def unpacked_limit(path: Path) -> int:
    """How many bytes an archive may unpack to."""
    return max(UNPACKED_BYTES, UNPACKED_RATIO * path.stat().st_size)


def shown(name: str) -> str:
    """A name for an error message, cut to ``NAME_SHOWN`` characters."""
    return repr(name[:NAME_SHOWN])


def refused(path: Path, name: str, how: str) -> InvalidPictureSet:
    """The error for an archive that holds ``name`` in a way that is not allowed."""
    return InvalidPictureSet(f"{path.name} holds {shown(name)} {how}.", REPACK)


def unknown_encoding(path: Path, name: str) -> InvalidPictureSet:
    """The error for a name that is not UTF-8."""
    return InvalidPictureSet(
        f"{path.name} holds {shown(name)}, a name in an unknown encoding.",
        "Pack the pictures again with a program that writes names in UTF-8, or as a tar archive.",
    )


def too_large(path: Path) -> InvalidPictureSet:
    """The error for an archive that would unpack to more than ``unpacked_limit``."""
    return InvalidPictureSet(
        f"{path.name} would unpack to more than {unpacked_limit(path) / 1e6:.0f} MB, far more than pictures do.", REPACK
    )


def damaged(path: Path) -> InvalidPictureSet:
    """The error for an archive that cannot be read."""
    return InvalidPictureSet(f"{path.name} is damaged, cut off or no archive that can be read.", REPACK)
