"""Labelled pictures: a folder with a folder for each class, or a tar or zip archive of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path, PurePath

from deploy_core.errors import DeployError, InvalidPictureSet
from deploy_core.evaluation.archives import ZIP_MAGIC, tar_members, zip_members
from deploy_core.evaluation.class_names import composed
from deploy_core.evaluation.folders import folder_members, read_picture
from deploy_core.evaluation.members import LAYOUT, Member, damaged, is_hidden, refused, shown
from deploy_core.files import listed
from deploy_core.pictures.formats import SUFFIXES
from deploy_core.settings import Settings


@dataclass(frozen=True)
class Entry:
    """A picture of a set. ``name`` is its path inside the set, with slashes.

    ``label`` is the name of its class folder in Unicode's composed form: macOS decomposes the names of folders.
    """

    name: str
    label: str


@dataclass(frozen=True)
class LabelledSet:
    """Pictures with their classes.

    - ``classes``: the names of the class folders, sorted, including ``known`` classes without pictures
    - ``entries``: the pictures, in the order of ``pictures``
    - ``ignored``: the number of files that are not pictures, by their suffix
    - ``left_out``: the names of the class folders that are not evaluated
    """

    path: Path
    classes: tuple[str, ...]
    entries: tuple[Entry, ...] = field(repr=False)
    ignored: int
    settings: Settings = field(repr=False)
    left_out: tuple[str, ...] = ()

    def without(self, names: Collection[str]) -> LabelledSet:
        """The set without some of its class folders."""
        return replace(
            self,
            classes=tuple(name for name in self.classes if name not in names),
            entries=tuple(entry for entry in self.entries if entry.label not in names),
            left_out=tuple(sorted(names)),
        )

    def pictures(self) -> Iterator[tuple[Entry, bytes | None]]:
        """Each picture's bytes, in one pass over the set; None for a damaged, unreadable or too large picture.

        Raises InvalidPictureSet if an archive changed after it was opened.
        """
        if self.path.is_dir():
            for entry in self.entries:
                yield entry, read_picture(self.path, entry.name, self.settings)
            return
        left = {entry.name: entry for entry in self.entries}
        with _readable_errors(self.path):
            for member in _members(self.path, self.settings):
                if member.name in left:
                    yield left.pop(member.name), member.read()
        if left:
            raise InvalidPictureSet(f"{self.path.name} has changed while it was read.", "Start again.")


def open_set(path: Path, settings: Settings, known: Callable[[str], bool]) -> LabelledSet:
    """The labelled pictures of a folder or archive.

    Folders that hold all pictures are skipped, down to the first one that is a ``known`` class or to the last one. A
    folder named by a number is a class by its index, or a version: then it holds folders with the names of classes.
    Raises InvalidPictureSet for a set without pictures in class folders, and for a damaged or malicious archive.
    """
    pictures: list[tuple[str, ...]] = []
    folders: set[tuple[str, ...]] = set()
    names: set[str] = set()
    with _readable_errors(path):
        for member in _members(path, settings):
            parts = member.parts
            if any(is_hidden(part) for part in parts):
                continue
            if member.is_folder:
                folders.add(parts)
                continue
            if member.name in names:
                raise refused(path, member.name, "more than once")
            names.add(member.name)
            folders.add(parts[:-1])
            if PurePath(member.name).suffix.lower() in SUFFIXES:
                pictures.append(parts)
    if not pictures:
        raise InvalidPictureSet(f"{path.name} holds no pictures.", LAYOUT)
    depth = _wrappers([parts[:-1] for parts in pictures], known)
    for parts in pictures:
        if len(parts) <= depth + 1:
            raise InvalidPictureSet(f"The picture {shown('/'.join(parts))} lies in no class folder.", LAYOUT)
    wrapper = pictures[0][:depth]
    entries = tuple(Entry("/".join(parts), composed(parts[depth])) for parts in pictures)
    classes = {entry.label for entry in entries}
    beside = {composed(folder[depth]) for folder in folders if len(folder) > depth and folder[:depth] == wrapper}
    classes |= {name for name in beside if known(name)}
    return LabelledSet(path, tuple(sorted(classes)), entries, len(names) - len(entries), settings)


def every_picture(path: Path, settings: Settings) -> Iterator[tuple[str, bytes | None]]:
    """The name and the bytes of each picture in a folder or archive, wherever it lies, in one pass.

    The bytes are None for a damaged, unreadable or too large picture. Raises InvalidPictureSet as ``open_set`` does for
    an archive.
    """
    with _readable_errors(path):
        for member in _members(path, settings):
            is_picture = not member.is_folder and PurePath(member.name).suffix.lower() in SUFFIXES
            if is_picture and not any(is_hidden(part) for part in member.parts):
                yield member.name, member.read()


def offered(settings: Settings) -> tuple[Path, ...]:
    """The folders and archives in ``datasets`` of the app's home, which the host offers to every visitor.

    Raises StorageFailed if that folder cannot be read.
    """
    folder = settings.home / "datasets"
    return tuple(sorted(path for path in listed(folder) if not is_hidden(path.name)))


def fingerprint(path: Path) -> tuple[tuple[str, int], ...]:
    """The times at which the set and each folder in it were last changed; new and removed pictures change them.

    Raises OSError if the set is gone.
    """
    folders = (Path(root) for root, _, _ in os.walk(path))
    times = sorted((folder.relative_to(path).as_posix(), folder.stat().st_mtime_ns) for folder in folders)
    status = path.stat()
    return tuple(times) or ((str(status.st_size), status.st_mtime_ns),)


def _wrappers(folders: list[tuple[str, ...]], known: Callable[[str], bool]) -> int:
    """How many folders are around the class folders: the first parts of the path that all pictures share."""
    pairs = zip(min(folders), max(folders), strict=False)
    shared = [name for name, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    deepest = max(len(names) for names in folders)
    depth = 0
    while depth < len(shared) and depth + 1 < deepest and not _is_class(depth, shared, folders, known):
        depth += 1
    return depth


def _is_class(depth: int, shared: list[str], folders: list[tuple[str, ...]], known: Callable[[str], bool]) -> bool:
    below = {names[depth + 1] if len(names) > depth + 1 else "" for names in folders}
    is_version = shared[depth].isdigit() and all(known(name) and not name.isdigit() for name in below)
    return known(shared[depth]) and not is_version


def _members(path: Path, settings: Settings) -> Iterator[Member]:
    if path.is_dir():
        return folder_members(path, settings)
    if not path.exists():
        raise InvalidPictureSet(f"There is no file or folder '{path}'.", "Check the path.")
    if not path.is_file():
        raise InvalidPictureSet(f"{path.name} is neither a folder nor a regular file.", LAYOUT)
    with path.open("rb") as file:
        head = file.read(6)
    return zip_members(path, settings) if head.startswith(ZIP_MAGIC) else tar_members(path, head, settings)


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    """Turns every error while a set is read into InvalidPictureSet."""
    try:
        yield
    except DeployError:
        raise
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report damage this way
            raise damaged(path) from error
        raise InvalidPictureSet(
            f"'{error.filename or path}' cannot be read ({error.strerror}).",
            "Check the path and your permission to read it.",
        ) from error
    except Exception as error:  # tarfile and zipfile raise nearly anything for damaged archives
        raise damaged(path) from error
