"""Separates the pixels of a PNG from its metadata, because Pillow refuses the whole picture for a mistake in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

# The type of ``Image.info``.
Info = dict[str | tuple[int, int], Any]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"IEND"
TRANSPARENCY = b"tRNS"
LONGEST_KEYWORD = 79
# A screen's or a press's colour profile takes up to a few megabytes. A bomb is unpacked to no more than this.
LARGEST_UNPACKED = 8_000_000


def separate(data: bytes) -> tuple[bytes, Info]:
    """The PNG without metadata, and its colour profile and orientation, as Pillow names them in a picture's ``info``.

    Chunks that hold pixels are kept as they are, damaged or not. Damaged metadata are left out, and so are those that
    unpack to more than ``LARGEST_UNPACKED`` bytes. Anything but a PNG is returned unchanged.
    """
    if not data.startswith(SIGNATURE):
        return data, {}
    whole = memoryview(data)
    kept, info = [whole[: len(SIGNATURE)]], Info()
    start = len(SIGNATURE)
    while start + 8 <= len(whole):
        length, kind = struct.unpack(">I4s", whole[start : start + 8])
        end = start + 12 + length
        chunk = whole[start:end]
        # The case of the first letter says whether a picture can be shown without the chunk.
        if kind[:1] < b"a" or kind == TRANSPARENCY:
            kept.append(chunk)
        elif end <= len(whole) and (name := _name(kind, chunk)) and name not in info:
            info[name] = _content(kind, chunk)
        if kind == END:
            break
        start = end
    return b"".join(kept), {name: value for name, value in info.items() if value}


def _name(kind: bytes, chunk: memoryview) -> str | None:
    """The name of what a chunk holds in ``info``; None if nothing there changes how the picture looks."""
    if kind in UNPACK:
        return NAMES.get(bytes(chunk[8 : 8 + LONGEST_KEYWORD + 1]).partition(b"\0")[0])
    return {b"iCCP": "icc_profile", b"eXIf": "exif"}.get(kind)


def _content(kind: bytes, chunk: memoryview) -> bytes | str:
    """What a chunk holds, unpacked; empty if it is damaged or too large."""
    if zlib.crc32(chunk[4:-4]) != struct.unpack(">I", chunk[-4:])[0]:
        return b""
    body = bytes(chunk[8:-4])
    if kind == b"eXIf":
        return b"Exif\0\0" + body
    keyword, _, rest = body.partition(b"\0")
    content = _unpacked(rest[1:]) if kind == b"iCCP" else UNPACK[kind](rest)
    return content.decode("latin-1") if keyword == RAW_EXIF else content


def _unpacked(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, LARGEST_UNPACKED)
    except zlib.error:
        return b""
    return content if stream.eof else b""


def _international(rest: bytes) -> bytes:
    """The text of an ``iTXt``, after a flag for compression, its method, a language and a translated keyword."""
    text = rest[2:].split(b"\0", 2)[-1]
    return _unpacked(text) if rest[:1] == b"\1" else text


# How each kind of text is read after its keyword, and the two texts in which programs note the orientation.
UNPACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"tEXt": lambda rest: rest,
    b"zTXt": lambda rest: _unpacked(rest[1:]),
    b"iTXt": _international,
}
RAW_EXIF = b"Raw profile type exif"
NAMES = {RAW_EXIF: RAW_EXIF.decode(), b"XML:com.adobe.xmp": "xmp"}
