"""Reads JPEGs that Pillow refuses although their pixels are there: with mistakes in the metadata, or without their end.

ITU-T T.81, annex B, describes the markers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, ImageChops

START, END = b"\xff\xd8", b"\xff\xd9"
SCAN = 0xDA
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# Application segments and comments. Of these the decoder uses JFIF, Exif and XMP, colour profiles and Adobe's colours.
METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
USED = frozenset({0xE0, 0xE1, 0xEE})
PROFILE = b"ICC_PROFILE\0"
# Within a scan, 0xFF is followed by 0 or by a number of a restart.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
COEFFICIENTS = 64
# The share of a picture's lines that may be missing, because its file ends too early. Browsers show them grey, too.
MOST_MISSING = 0.05
# Any bytes without a marker: the decoder takes them for blocks of pixels if blocks are missing.
FILLER = bytes(range(1, 251))


@dataclass
class _Found:
    """What the markers say.

    - ``unused``: where the metadata are that the decoder does not use
    - ``left``: the lowest bit of each coefficient that has not come, by component; zero once all have
    """

    unused: list[tuple[int, int]] = field(default_factory=list)
    left: dict[int, list[int]] = field(default_factory=dict)
    has_end: bool = False


def without_metadata(data: bytes) -> bytes:
    """The JPEG without the segments that the decoder does not use. Anything but a JPEG is returned unchanged."""
    if not data.startswith(START):
        return data
    kept, start = [], 0
    for begin, end in _walk(data).unused:
        kept.append(data[start:begin])
        start = end
    return b"".join([*kept, data[start:]])


def load_without_end(data: bytes, load: Callable[[bytes], Image.Image]) -> Image.Image | None:
    """The picture of a JPEG that stops early. None if it does not, or if more than ``MOST_MISSING`` of it is missing.

    ``load`` decodes bytes. Missing blocks become grey. To find the first one, the picture is decoded once more with
    bytes behind it that a decoder would take for it.
    """
    if not data.startswith(START):
        return None
    found = _walk(data)
    if found.has_end or not found.left or any(bit for bits in found.left.values() for bit in bits):
        return None
    data = data.rstrip(b"\xff")
    picture = load(data + END)
    differs = ImageChops.difference(picture, load(data + FILLER + END)).getbbox()
    missing = picture.height - differs[1] if differs else 0
    return picture if missing <= MOST_MISSING * picture.height else None


def _walk(data: bytes) -> _Found:
    found, start = _Found(), len(START)
    while start + 4 <= len(data) and data[start] == 0xFF:
        kind = data[start + 1]
        if kind in ALONE or kind == 0xFF:
            start += 1 if kind == 0xFF else 2
            continue
        if kind == END[1]:
            break
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        body = data[start + 4 : end]
        if kind in METADATA - USED and not body.startswith(PROFILE):
            found.unused.append((start, end))
        elif kind in FRAMES:
            found.left |= {body[place]: [1] * COEFFICIENTS for place in range(6, len(body), 3)}
        elif kind == SCAN:
            _note_scan(body, found.left)
            marker = MARKER.search(data, end)
            end = marker.start() if marker else len(data)
        start = end
    found.has_end = data[start : start + 2] == END
    return found


def _note_scan(body: bytes, left: dict[int, list[int]]) -> None:
    """Notes which coefficients of which components a scan brings, down to which bit."""
    count = body[0] if body else 0
    if len(body) < 2 * count + 4:
        return
    first, last, bits = body[2 * count + 1 : 2 * count + 4]
    for component in body[1 : 2 * count + 1 : 2]:
        for place in range(first, min(last + 1, COEFFICIENTS)):
            if component in left:
                left[component][place] = bits & 0xF
