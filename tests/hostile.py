"""Pictures as a bad disk, a broken download or somebody with bad intent would leave them."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

HEIC = Path(__file__).parent / "core" / "pictures"
ORIENTATION = 0x0112
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def swapped_profile() -> bytes:
    """An RGB profile whose red and green primaries have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def originals() -> dict[str, bytes]:
    """A small file of every kind, with all that files of that kind may carry."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    source = noise(24, 16)
    options: list[tuple[str, dict[str, Any]]] = [
        ("PNG", {"icc_profile": swapped_profile(), "exif": exif}),
        ("JPEG", {"icc_profile": swapped_profile(), "exif": exif}),
        ("JPEG", {"progressive": True, "quality": 30}),
        ("WEBP", {"exif": exif}),
        ("WEBP", {"lossless": True}),
        ("GIF", {"save_all": True, "append_images": [noise(24, 16, 1)]}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw", "exif": exif}),
        ("TIFF", {"icc_profile": swapped_profile()}),
        ("AVIF", {"exif": exif}),
        ("MPO", {"save_all": True, "append_images": [noise(24, 16, 1)]}),
    ]
    made = {f"{kind} {number}": saved(source, kind, **more) for number, (kind, more) in enumerate(options)}
    return made | {path.name: path.read_bytes() for path in sorted(HEIC.glob("*.heic"))}


def mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """As a bad disk, a broken download or somebody with bad intent would leave it."""
    changed = bytearray(data)

    def somewhere() -> int:
        return chance.randrange(len(changed) if chance.random() < 0.5 else min(len(changed), 200))

    for _ in range(chance.choice((1, 1, 2, 8, 40))):
        place, length = somewhere(), chance.choice((1, 2, 4, 16, 100))
        match chance.randrange(7):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                changed[place : place + length] = chance.randbytes(length)
            case 3:
                changed[place : place + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
            case 4:
                changed[place:place] = changed[place : place + length]
            case 5:
                del changed[place : place + min(length, len(changed) - 1)]
            case 6:
                changed[place : place + length] = other[place : place + length]
        if not changed:
            return b""
    return bytes(changed[: somewhere()] if chance.random() < 0.1 else changed)


def crashing_heic() -> bytes:
    """Its item type is no ASCII, and ends the process that pi_heif 1.4.0 reads it in."""
    data = bytearray((HEIC / "turned.heic").read_bytes())
    data[177:180] = b"\xff\xff\x00"
    return bytes(data)


def scan_bomb(side: int, scans: int) -> bytes:
    """A valid progressive JPEG whose last scan comes again and again: few bytes, much work."""
    data = saved(Image.new("L", (side, side), 99), "JPEG", progressive=True, quality=30)
    start = data.rindex(START_OF_SCAN)
    last = data[start : data.rindex(END_OF_IMAGE)]
    return data[:start] + last * scans + END_OF_IMAGE
