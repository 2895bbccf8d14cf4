"""Labelled pictures: a folder with one folder a class, or a tar or zip archive of one, read without unpacking it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePath
from typing import IO, Any

from deploy_core.errors import DeployError, InvalidPictureSet
from deploy_core.files import listed
from deploy_core.pictures.decode import SUFFIXES
from deploy_core.settings import Settings

LAYOUT = "Give a folder, or a tar or zip archive of one, with a folder for each class: cat/1.jpg, dog/2.jpg."
REPACK = "Pack the pictures again, as plain files and folders in a tar or zip archive."

# Pictures hardly compress, so an archive that grows a hundredfold is made to fill a memory or to keep a machine busy.
# Small sets of flat colours may do so honestly, up to a size that hurts nobody.
UNPACKED_BYTES = 100_000_000
UNPACKED_RATIO = 100
# What a tar says about one file, its name above all, takes a few kilobytes; tarfile would read gigabytes of it.
HEADER_BYTES = 1_000_000
# Its own presets make xz ask for 65 MB at most.
XZ_MEMORY = 200_000_000
CHUNK = 65_536
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
# zipfile unpacks bzip2 and LZMA without a bound: 4 KB of the former can become gigabytes in one read.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ZIP_ENCRYPTED = 0x1 | 0x40 | 0x2000
ZIP_PATCHED = 0x20
ZIP_HEADER = 30
NAME_SHOWN = 100


@dataclass(frozen=True)
class Entry:
    """A picture of a set: its ``name`` is its path inside the set, with slashes; ``label`` its class folder's name."""

    name: str
    label: str


@dataclass(frozen=True)
class LabelledSet:
    """Pictures and what they show.

    ``classes`` are the class folders' names, sorted, the empty ones included; ``entries`` the pictures, in the order
    in which ``pictures`` gives them; ``ignored`` is the number of files that are no pictures by their name.
    """

    path: Path
    classes: tuple[str, ...]
    entries: tuple[Entry, ...] = field(repr=False)
    ignored: int
    settings: Settings = field(repr=False)

    def pictures(self) -> Iterator[tuple[Entry, bytes | None]]:
        """Each picture's bytes, in one pass over the set; None for one that is damaged, unreadable or too large.

        Raises InvalidPictureSet where an archive is no longer the one that was opened.
        """
        if self.path.is_dir():
            for entry in self.entries:
                yield entry, read_picture(self.path, entry.name, self.settings)
            return
        left = {entry.name: entry for entry in self.entries}
        with _translated(self.path):
            for member in _members(self.path, self.settings):
                if member.name in left:
                    yield left.pop(member.name), member.read()
        if left:
            raise InvalidPictureSet(f"{self.path.name} has changed while it was read.", "Start again.")


@dataclass(frozen=True)
class _Member:
    """A file or folder of a set; ``read`` gives a picture's bytes, for as long as the next member is not asked for."""

    name: str
    is_folder: bool
    read: Callable[[], bytes | None]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.name.split("/"))


def open_set(path: Path, settings: Settings, known: Callable[[str], bool]) -> LabelledSet:
    """The labelled pictures of a folder or archive.

    Folders around all pictures are looked through until there is one that is ``known`` as a class, or the last one. One
    that is a number, which is a class by its index, may also be a version: then it holds folders with classes' names.
    Raises InvalidPictureSet for what has no pictures in class folders, and for an archive that is damaged or hostile.
    """
    pictures: list[tuple[str, ...]] = []
    folders: set[tuple[str, ...]] = set()
    names: set[str] = set()
    with _translated(path):
        for member in _members(path, settings):
            parts = member.parts
            if any(_hidden(part) for part in parts):
                continue
            if member.is_folder:
                folders.add(parts)
                continue
            if member.name in names:
                raise _hostile(path, member.name, "more than once")
            names.add(member.name)
            folders.add(parts[:-1])
            if PurePath(member.name).suffix.lower() in SUFFIXES:
                pictures.append(parts)
    if not pictures:
        raise InvalidPictureSet(f"{path.name} holds no pictures.", LAYOUT)
    depth = _wrappers([parts[:-1] for parts in pictures], known)
    for parts in pictures:
        if len(parts) <= depth + 1:
            raise InvalidPictureSet(f"The picture {_shown('/'.join(parts))} lies in no class folder.", LAYOUT)
    wrapper = pictures[0][:depth]
    classes = {folder[depth] for folder in folders if len(folder) > depth and folder[:depth] == wrapper}
    entries = tuple(Entry("/".join(parts), parts[depth]) for parts in pictures)
    return LabelledSet(path, tuple(sorted(classes)), entries, len(names) - len(entries), settings)


def offered(settings: Settings) -> tuple[Path, ...]:
    """The folders and archives that lie in ``datasets`` of the app's home, for whoever runs the app to offer.

    Raises StorageFailed where that cannot be looked into.
    """
    folder = settings.home / "datasets"
    return tuple(sorted(path for path in listed(folder) if not _hidden(path.name)))


def fingerprint(path: Path) -> tuple[tuple[str, int], ...]:
    """What changes when pictures come to a set or go from it: when it, and each folder in it, was last changed.

    Raises OSError where it is gone.
    """
    folders = (Path(root) for root, _, _ in os.walk(path))
    found = sorted((folder.relative_to(path).as_posix(), folder.stat().st_mtime_ns) for folder in folders)
    status = path.stat()
    return tuple(found) or ((str(status.st_size), status.st_mtime_ns),)


def read_picture(root: Path, name: str, settings: Settings) -> bytes | None:
    """One picture of a folder by its name in the set; None for one that is gone, unreadable or too large.

    Links are followed. Raises InvalidPictureSet for a name that leads out of the folder.
    """
    if PurePath(name).anchor or ".." in PurePath(name).parts:
        raise InvalidPictureSet(f"The name {_shown(name)} leads out of the set.", "Name a picture of the set.")
    path = root / name
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for somebody to write to it
            return None
        with path.open("rb") as file:
            data = file.read(settings.picture_bytes + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= settings.picture_bytes else None


def _wrappers(folders: list[tuple[str, ...]], known: Callable[[str], bool]) -> int:
    """How many of the leading folders that all pictures share are around the class folders."""
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


def _members(path: Path, settings: Settings) -> Iterator[_Member]:
    if path.is_dir():
        return _folder(path, settings)
    if not path.exists():
        raise InvalidPictureSet(f"There is no file or folder '{path}'.", "Check the path.")
    if not path.is_file():
        raise InvalidPictureSet(f"{path.name} is neither a folder nor a regular file.", LAYOUT)
    with path.open("rb") as file:
        head = file.read(6)
    return (_zip if head.startswith(ZIP_MAGIC) else _tar)(path, head, settings)


def _folder(root: Path, settings: Settings) -> Iterator[_Member]:
    for name, status in _walk(root):
        is_folder = status is not None and stat.S_ISDIR(status.st_mode)
        yield _Member(name, is_folder, partial(read_picture, root, name, settings))


def _walk(root: Path) -> list[tuple[str, os.stat_result | None]]:
    """Every file and folder below ``root`` that is not hidden, by name; without a state where a link leads nowhere.

    A folder that several links lead to is there once, so that a loop of links ends.
    """
    found: dict[str, os.stat_result | None] = {}
    seen = {_place(root.stat())}
    waiting = [root]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if _hidden(path.name):
                continue
            status = _status(path)
            if status and stat.S_ISDIR(status.st_mode):
                if _place(status) in seen:
                    continue
                seen.add(_place(status))
                waiting.append(path)
            name = path.relative_to(root).as_posix()
            if not _decodable(name):
                raise InvalidPictureSet(f"The name {_shown(name)} is no text.", "Rename it.")
            found[name] = status
    return sorted(found.items(), key=lambda item: item[0])


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _place(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _zip(path: Path, _head: bytes, settings: Settings) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > _most(path):
            raise _bomb(path)
        _refuse_overlaps(path, infos, archive.start_dir)
        for info in infos:
            name = _name(path, info.orig_filename)
            is_folder = info.orig_filename.endswith("/")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
                raise _hostile(path, name, "as a link, a device or something else that is no plain file")
            if info.flag_bits & ZIP_ENCRYPTED:
                raise _hostile(path, name, "encrypted")
            if info.compress_type not in ZIP_METHODS or info.flag_bits & ZIP_PATCHED:
                raise _hostile(path, name, "in a compression other than deflate")
            with archive.open(info) as file:
                if name:
                    yield _Member(name, is_folder, partial(_unzipped, file, info.file_size, settings))


def _refuse_overlaps(path: Path, infos: list[zipfile.ZipInfo], end: int) -> None:
    """A bomb uses the same compressed bytes for many entries. Python 3.11.7 does not look for that."""
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        if info.header_offset + ZIP_HEADER + info.compress_size > end:
            raise _hostile(path, info.filename, "where another entry lies")
        end = info.header_offset


def _unzipped(file: IO[bytes], size: int, settings: Settings) -> bytes | None:
    if size > settings.picture_bytes:
        return None
    try:
        data = file.read(size)
    except Exception:  # the picture's bytes are damaged, or not as many as the archive says
        return None
    return data if len(data) == size else None


def _tar(path: Path, head: bytes, settings: Settings) -> Iterator[_Member]:
    unpack = next((unpack for magic, unpack in PACKED.items() if head.startswith(magic)), None)
    with unpack(path) if unpack else path.open("rb") as file:
        tape = _Tape(path, file, unpack is not None, _most(path))
        archive = _headers(tape)
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
            name = _name(path, info.name)
            if not (info.isreg() or info.isdir()):
                raise _hostile(path, name, "as a link, a device or something else that is no plain file")
            is_plain = info.isreg() and not info.issparse()
            if info.size < 0 or (is_plain and info.offset_data + info.size > archive.offset):
                raise _hostile(path, name, "with a size that is not its own")
            if name:
                yield _Member(name, info.isdir(), partial(_untarred, tape, info, settings))
            tape.allowance = HEADER_BYTES
        tape.finish()


def _headers(tape: _Tape) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=tape, mode="r:", encoding="utf-8")
    except tarfile.ReadError as error:
        raise InvalidPictureSet(f"{tape.path.name} is neither a folder nor a tar or zip archive.", LAYOUT) from error


def _untarred(tape: _Tape, info: tarfile.TarInfo, settings: Settings) -> bytes | None:
    if info.issparse() or info.size > settings.picture_bytes:  # no picture has holes, and holes unpack to anything
        return None
    tape.seek(info.offset_data)
    tape.allowance = info.size
    data = tape.read(info.size)
    if len(data) < info.size:
        raise _damaged(tape.path)
    return data


class _Xz(io.RawIOBase):
    """What lzma.LZMAFile reads, but with a bound on the memory that the file may ask for, which can be 4 GB."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._stream = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._unpacked(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _unpacked(self, size: int) -> bytes:
        data = b""
        while not data:
            packed = b""
            if self._stream.eof:  # a file may hold several streams, and zeros between them
                packed = self._stream.unused_data.lstrip(b"\0") or self._file.read(CHUNK).lstrip(b"\0")
                if not packed:
                    return b""
                self._stream = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            elif self._stream.needs_input:
                packed = self._file.read(CHUNK)
                if not packed:
                    raise EOFError("the file ends within its compressed data")
            data = self._stream.decompress(packed, size)
        return data


PACKED: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lambda path: io.BufferedReader(_Xz(path)),
}


@dataclass
class _Tape:
    """A tar's bytes, unpacked, as tarfile reads them, within bounds: only forwards, ``most`` bytes, short headers."""

    path: Path
    file: io.BufferedIOBase
    packed: bool
    most: int
    allowance: int = HEADER_BYTES
    position: int = 0
    last: bytes = b""

    def tell(self) -> int:
        return self.position

    def seek(self, position: int) -> int:
        if position < self.position:  # a size below zero would lead tarfile round in a circle
            raise _damaged(self.path)
        if position > self.most:
            raise _bomb(self.path)
        if self.packed:
            while self.position < position and (data := self.file.read(min(CHUNK, position - self.position))):
                self.position += len(data)
        else:
            self.position = self.file.seek(position)
        return self.position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.allowance:
            raise _damaged(self.path)
        if self.position + size > self.most:
            raise _bomb(self.path)
        self.allowance -= size
        self.last = self.file.read(size)
        self.position += len(self.last)
        return self.last

    def write(self, _data: bytes) -> int:
        raise NotImplementedError

    def close(self) -> None:
        self.file.close()

    def finish(self) -> None:
        """Raises InvalidPictureSet where the tar does not end as it should.

        tarfile takes a damaged header for the end, and does not read on to the checksum behind a compressed tar.
        """
        if self.last != bytes(tarfile.BLOCKSIZE):
            raise _damaged(self.path)
        self.seek(self.most)
        if self.file.read(1):
            raise _bomb(self.path)


def _name(path: Path, name: str) -> str:
    """An archive's name for a file or folder, without parts that say nothing; empty for the archive's own folder."""
    if not _decodable(name) or "\0" in name:
        raise _hostile(path, name, "under a name that is no text")
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise _hostile(path, name, "under a name that is not relative, with slashes")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _hostile(path, name, "under a name that leads out of the archive")
    return "/".join(parts)


def _decodable(name: str) -> bool:
    """False where Python wrote bytes that are no UTF-8 as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _hidden(part: str) -> bool:
    """The first is a habit of Unix; the second is what macOS adds to the archives it makes."""
    return part.startswith(".") or part == "__MACOSX"


def _most(path: Path) -> int:
    return max(UNPACKED_BYTES, UNPACKED_RATIO * path.stat().st_size)


def _shown(name: str) -> str:
    return repr(name[:NAME_SHOWN])


def _hostile(path: Path, name: str, how: str) -> InvalidPictureSet:
    return InvalidPictureSet(f"{path.name} holds {_shown(name)} {how}.", REPACK)


def _bomb(path: Path) -> InvalidPictureSet:
    return InvalidPictureSet(
        f"{path.name} would unpack to more than {_most(path) / 1e6:.0f} MB, far more than pictures do.", REPACK
    )


def _damaged(path: Path) -> InvalidPictureSet:
    return InvalidPictureSet(f"{path.name} is damaged, cut off or no archive that can be read.", REPACK)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except DeployError:
        raise
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report damage so
            raise _damaged(path) from error
        raise InvalidPictureSet(
            f"'{error.filename or path}' cannot be read ({error.strerror}).",
            "Check the path and your permission to read it.",
        ) from error
    except Exception as error:  # on damaged archives tarfile and zipfile raise nearly anything
        raise _damaged(path) from error
