"""Reads a zip or tar archive of pictures without unpacking it, within bounds, because a stranger may have made it.

Python's own readers trust an archive: its sizes, its names and the memory that it asks for.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation.members import (
    LAYOUT,
    Member,
    damaged,
    member_name,
    refused,
    too_large,
    unknown_encoding,
    unpacked_limit,
)
from deploy_core.settings import Settings

# The headers of one file in a tar, mainly its name, take a few kilobytes; tarfile would read gigabytes of them.
HEADER_BYTES = 1_000_000
# The presets of xz ask for 65 MB at most.
XZ_MEMORY = 200_000_000
CHUNK = 65_536
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
# zipfile unpacks bzip2 and LZMA without a bound: 4 KB of bzip2 can become gigabytes in one read.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ZIP_ENCRYPTED = 0x1 | 0x40 | 0x2000
ZIP_PATCHED = 0x20
ZIP_UTF8 = 0x800
# Info-ZIP's field with the name in UTF-8, after a version and the checksum of the plain name.
ZIP_UNICODE_NAME = 0x7075
ZIP_HEADER = 30
NOT_PLAIN = "as a link, a device or something else that is no plain file"


def zip_members(path: Path, settings: Settings) -> Iterator[Member]:
    """The files and folders of a zip. Raises InvalidPictureSet for an archive that is not just plain pictures."""
    try:
        archive = zipfile.ZipFile(path)
    except UnicodeDecodeError as error:
        raise unknown_encoding(path, error.object.decode("utf-8", "backslashreplace")) from error
    with archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > unpacked_limit(path):
            raise too_large(path)
        _refuse_overlaps(path, infos, archive.start_dir)
        for info in infos:
            full = _zip_name(path, info)
            name = member_name(path, full)
            is_folder = full.endswith("/")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
                raise refused(path, name, NOT_PLAIN)
            if info.flag_bits & ZIP_ENCRYPTED:
                raise refused(path, name, "encrypted")
            if info.compress_type not in ZIP_METHODS or info.flag_bits & ZIP_PATCHED:
                raise refused(path, name, "in a compression other than deflate")
            with archive.open(info) as file:
                if name:
                    yield Member(name, is_folder, partial(_unzipped, file, info.file_size, settings))


def _zip_name(path: Path, info: zipfile.ZipInfo) -> str:
    """The name of a zip's entry, with slashes. Raises InvalidPictureSet if its encoding is unknown.

    macOS writes UTF-8 without the flag that says so, and zipfile then reads code page 437. Windows' Compress-Archive
    writes backslashes.
    """
    name = info.orig_filename
    if not info.flag_bits & ZIP_UTF8:
        raw = name.encode("cp437")
        try:
            name = (_unicode_name(info.extra, raw) or raw).decode()
        except UnicodeDecodeError:
            raise unknown_encoding(path, raw.decode("utf-8", "backslashreplace")) from None
    return name.replace("\\", "/")


def _unicode_name(extra: bytes, raw: bytes) -> bytes | None:
    """The name in the field ``ZIP_UNICODE_NAME``, if it belongs to the plain name ``raw``."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == ZIP_UNICODE_NAME and body[1:5] == struct.pack("<I", zlib.crc32(raw)):
            return body[5:]
    return None


def _refuse_overlaps(path: Path, infos: list[zipfile.ZipInfo], end: int) -> None:
    """Refuses entries that share compressed bytes, as a zip bomb's do. Python 3.11.7 does not check this."""
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        if info.header_offset + ZIP_HEADER + info.compress_size > end:
            raise refused(path, info.filename, "where another entry lies")
        end = info.header_offset


def _unzipped(file: IO[bytes], size: int, settings: Settings) -> bytes | None:
    if size > settings.picture_bytes:
        return None
    try:
        data = file.read(size)
    except Exception:  # the bytes are damaged, or fewer than the archive says
        return None
    return data if len(data) == size else None


def tar_members(path: Path, head: bytes, settings: Settings) -> Iterator[Member]:
    """The files and folders of a tar, compressed or not, that starts with ``head``. Raises InvalidPictureSet."""
    unpack = next((unpack for magic, unpack in PACKED.items() if head.startswith(magic)), None)
    with unpack(path) if unpack else path.open("rb") as file:
        tape = _Tape(path, file, unpack is not None, unpacked_limit(path))
        archive = _headers(tape)
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all of them in memory
            name = member_name(path, info.name)
            if not (info.isreg() or info.isdir()):
                raise refused(path, name, NOT_PLAIN)
            is_plain = info.isreg() and not info.issparse()
            if info.size < 0 or (is_plain and info.offset_data + info.size > archive.offset):
                raise refused(path, name, "with a size that is not its own")
            if name:
                yield Member(name, info.isdir(), partial(_untarred, tape, info, settings))
            tape.allowance = HEADER_BYTES
        tape.finish()


def _headers(tape: _Tape) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=tape, mode="r:", encoding="utf-8")
    except tarfile.ReadError as error:
        raise InvalidPictureSet(f"{tape.path.name} is neither a folder nor a tar or zip archive.", LAYOUT) from error


def _untarred(tape: _Tape, info: tarfile.TarInfo, settings: Settings) -> bytes | None:
    if info.issparse() or info.size > settings.picture_bytes:  # no picture is sparse, and a hole unpacks to any size
        return None
    tape.seek(info.offset_data)
    tape.allowance = info.size
    data = tape.read(info.size)
    if len(data) < info.size:
        raise damaged(tape.path)
    return data


class _Xz(io.RawIOBase):
    """lzma.LZMAFile with a bound on the memory that the file may ask for, which can be 4 GB."""

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
            if self._stream.eof:  # a file may hold several streams with zeros between them
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
    """The unpacked bytes of a tar, as a file for tarfile. It moves forwards only and refuses to read too much.

    - ``most``: how many bytes the whole tar may have; more raise InvalidPictureSet
    - ``allowance``: how many bytes tarfile may read until the next file, which bounds the headers
    - ``last``: the bytes of the last read
    """

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
        if position < self.position:  # a negative size would make tarfile loop
            raise damaged(self.path)
        if position > self.most:
            raise too_large(self.path)
        if self.packed:
            while self.position < position and (data := self.file.read(min(CHUNK, position - self.position))):
                self.position += len(data)
        else:
            self.position = self.file.seek(position)
        return self.position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.allowance:
            raise damaged(self.path)
        if self.position + size > self.most:
            raise too_large(self.path)
        self.allowance -= size
        self.last = self.file.read(size)
        self.position += len(self.last)
        return self.last

    def write(self, _data: bytes) -> int:
        raise NotImplementedError

    def close(self) -> None:
        self.file.close()

    def finish(self) -> None:
        """Raises InvalidPictureSet if the tar does not end properly.

        tarfile takes a damaged header for the end, and does not read on to the checksum after a compressed tar.
        """
        if self.last != bytes(tarfile.BLOCKSIZE):
            raise damaged(self.path)
        self.seek(self.most)
        if self.file.read(1):
            raise too_large(self.path)
