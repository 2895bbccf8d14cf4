"""Metadata never decide whether pixels are read, and no deep picture becomes black in silence (decision 17)."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deploy_core.embedded import SAMPLES
from deploy_core.errors import InvalidPicture
from deploy_core.pictures import decode, png
from deploy_core.settings import Settings
from tests.hostile import ORIENTATION, noise, saved, swapped_profile

REPORTED = Path(__file__).parent / "reported"
SETTINGS = Settings()
RED = (255, 0, 0)
MB = 1_000_000


def decoded(data: bytes) -> Image.Image:
    return decode.decode(data, SETTINGS)


def levels(picture: Image.Image) -> list[int]:
    """The red of the first row."""
    row: list[int] = np.asarray(picture)[0, :, 0].tolist()
    return row


def chunk(kind: bytes, body: bytes, checksum: int = 0) -> bytes:
    """A chunk of a PNG; its checksum is wrong by ``checksum``."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ checksum)


def with_chunks(*chunks: bytes, before_pixels: bool = True) -> bytes:
    data = saved(Image.new("RGB", (40, 20), RED), "PNG")
    place = data.index(b"IDAT" if before_pixels else b"IEND") - 4
    return data[:place] + b"".join(chunks) + data[place:]


def profile_of(size: int) -> bytes:
    """A colour profile that takes ``size`` bytes, most of them unused."""
    profile = swapped_profile()
    return struct.pack(">I", size) + profile[4:] + bytes(size - len(profile))


# metadata


@pytest.mark.parametrize("name", ["after_idat_ztxt.png", "crc_text.png", "itxt_2MB.png", "ztxt_2MB.png"])
def test_reported_pngs_are_read(name: str) -> None:
    picture = decoded((REPORTED / name).read_bytes())
    assert picture.size == (64, 48)
    assert picture.getextrema() == ((30, 220), (30, 210), (30, 200))


@pytest.mark.parametrize("before_pixels", [True, False])
@pytest.mark.parametrize(
    "made",
    [
        chunk(b"tEXt", b"Comment\0hello", checksum=1),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(20 * MB))),
        chunk(b"zTXt", b"Comment\0\7" + b"no method"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(20 * MB))),
        chunk(b"iCCP", b"huge\0\0" + zlib.compress(bytes(200 * MB))),
        chunk(b"iCCP", b"no end"),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(b"y"), checksum=1),
        chunk(b"eXIf", b"garbage"),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"1"),
        chunk(b"pHYs", b"1"),
        chunk(b"sRGB", b""),
        chunk(b"acTL", b""),
        chunk(b"prIv", b"\xff" * 100, checksum=1),
        chunk(b"zTXt", b"") * 1000,
    ],
    ids=lambda made: f"{made[4:8].decode()} of {len(made)}",
)
def test_a_png_with_bad_metadata_is_the_same_picture(made: bytes, before_pixels: bool) -> None:
    assert decoded(with_chunks(made, before_pixels=before_pixels)).getpixel((5, 5)) == RED


def test_a_bomb_in_a_png_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    unpacked = png._unpacked

    def watched(packed: bytes) -> bytes:
        content = unpacked(packed)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(png, "_unpacked", watched)
    bombs = [chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(9 * MB))) for _ in range(3)]
    texts = [chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(9 * MB))) for _ in range(3)]
    assert decoded(with_chunks(*bombs, *texts)).getpixel((5, 5)) == RED
    assert sizes == [0]


def test_a_large_colour_profile_is_applied() -> None:
    made = chunk(b"iCCP", b"screen\0\0" + zlib.compress(profile_of(2 * MB)))
    assert np.allclose(np.asarray(decoded(with_chunks(made)))[5, 5], (0, 255, 0), atol=6)


@pytest.mark.parametrize("how", ["exif", "raw", "xmp", "packed xmp"])
def test_the_orientation_is_found_wherever_programs_note_it(how: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    raw = exif.tobytes().hex().encode()
    made = {
        "exif": chunk(b"eXIf", exif.tobytes()[6:]),
        "raw": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      99\n" + raw)),
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        "packed xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)),
    }[how]
    assert decoded(with_chunks(made)).size == (20, 40)


def test_damage_to_the_pixels_of_a_png_is_still_told() -> None:
    data = bytearray(saved(noise(64, 64), "PNG"))
    data[data.index(b"IHDR") + 20] ^= 1
    with pytest.raises(InvalidPicture):
        decoded(bytes(data))
    with pytest.raises(InvalidPicture):
        decoded(with_chunks(chunk(b"tRNS", b"123456", checksum=1)))


def test_an_animated_png_shows_its_first_frame_without_its_chunks() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decoded(data).getpixel((8, 8)) == RED


def test_thousands_of_chunks_take_no_time() -> None:
    assert decoded(with_chunks(chunk(b"tEXt", b"a\0b") * 300_000)).getpixel((5, 5)) == RED


@pytest.mark.parametrize("seed", range(40))
def test_a_jpeg_with_broken_notes_about_other_pictures_is_read(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(saved(Image.new("RGB", (40, 20), RED), "MPO", save_all=True, append_images=[noise(40, 20)]))
    start = data.index(b"MPF\0") + 4
    for _ in range(rng.choice([1, 3, 20])):
        data[start + rng.randrange(80)] = rng.randrange(256)
    assert np.allclose(np.asarray(decoded(bytes(data)))[5, 5], RED, atol=3)


def test_a_jpeg_keeps_its_profile_and_its_orientation() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = saved(Image.new("RGB", (40, 20), RED), "JPEG", exif=exif, icc_profile=swapped_profile(), comment=b"x")
    picture = decoded(data)
    assert picture.size == (20, 40)
    assert np.allclose(np.asarray(picture)[5, 5], (0, 255, 0), atol=6)


# the end

WAYS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "full colour": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 5},
    "fine": {"quality": 97},
}


def test_the_reported_jpeg_is_read() -> None:
    assert decoded((REPORTED / "jpg_noEOI.jpg").read_bytes()).size == (640, 480)


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 60])
@pytest.mark.parametrize("way", WAYS)
def test_a_jpeg_without_its_last_bytes_is_read(way: str, cut: int) -> None:
    data = saved(noise(64, 48).resize((640, 480)), "JPEG", **WAYS[way])
    whole, short = (np.asarray(decoded(one), int) for one in (data, data[:-cut]))
    assert np.array_equal(whole[:456], short[:456]) or way == "progressive"
    assert np.abs(whole[:456] - short[:456]).max() <= 8


def test_the_last_bytes_of_a_jpeg_may_be_missing_when_it_is_read_small() -> None:
    data = saved(noise(64, 48).resize((1600, 1200)), "JPEG")
    assert decode.decode(data[:-2], SETTINGS, at_least=200).size == (400, 300)


@pytest.mark.parametrize("share", [0.9, 0.75, 0.5, 0.3])
@pytest.mark.parametrize("way", WAYS)
def test_a_jpeg_that_is_cut_off_is_told(way: str, share: float) -> None:
    data = saved(noise(64, 48).resize((640, 480)), "JPEG", **WAYS[way])
    with pytest.raises(InvalidPicture, match="cut off"):
        decoded(data[: int(len(data) * share)])


def test_a_progressive_jpeg_that_ends_between_two_scans_is_told() -> None:
    data = saved(noise(64, 48).resize((640, 480)), "JPEG", progressive=True)
    scans = [place for place in range(len(data)) if data.startswith(b"\xff\xda", place)]
    assert len(scans) > 5
    for scan in scans[1:]:
        with pytest.raises(InvalidPicture, match="cut off"):
            decoded(data[:scan])


# deep pictures


def test_the_reported_tiff_is_not_black() -> None:
    assert decoded((REPORTED / "i32_8bitvalues.tif").read_bytes()).getextrema() == ((49, 192),) * 3


@pytest.mark.parametrize(
    ("numbers", "kind", "expected"),
    [
        ([0, 100, 255], "int32", [0, 100, 255]),
        ([0, 100, 255], "uint16", [0, 100, 255]),
        ([0, 100, 255], "float32", [0, 100, 255]),
        ([0, 2048, 4095], "uint16", [0, 128, 255]),
        ([0, 32768, 65535], "int32", [0, 128, 255]),
        ([0, 32768, 65535], "float32", [0, 128, 255]),
        ([0, 2**30, 2**31 - 128], "int32", [0, 64, 127]),
        ([0.0, 0.5, 1.0], "float32", [0, 128, 255]),
        ([0, 0, 0], "int32", [0, 0, 0]),
        ([0, 0, 0], "float32", [0, 0, 0]),
    ],
)
def test_deep_grey_is_scaled_from_the_smallest_range_that_holds_it(
    numbers: list[float], kind: str, expected: list[int]
) -> None:
    assert levels(decoded(saved(Image.fromarray(np.array([numbers], kind)), "TIFF"))) == expected


@pytest.mark.parametrize(
    ("numbers", "kind", "words"),
    [
        ([-5, 0, 255], "int32", "from -5 to 255"),
        ([-1.0, 0, 1], "float32", "from -1 to 1"),
        ([float("nan"), 0, 1], "float32", "from nan"),
        ([0, 1, float("inf")], "float32", "to inf"),
        ([0, 1, 40], "uint16", "unclear which is white"),
        ([0, 1, 1], "int32", "unclear which is white"),
        ([0, 1, 1.5], "float32", "unclear which is white"),
        ([0, 0.1, 0.2], "float32", "unclear which is white"),
    ],
)
def test_numbers_that_are_no_clear_colours_are_told(numbers: list[float], kind: str, words: str) -> None:
    with pytest.raises(InvalidPicture, match=words):
        decoded(saved(Image.fromarray(np.array([numbers], kind)), "TIFF"))


def test_no_deep_picture_becomes_black_or_white_in_silence() -> None:
    """Of any numbers: the brightest pixel has at least a quarter of white, or the picture is refused."""
    rng = random.Random(3)
    for _ in range(300):
        kind = rng.choice(["uint16", "int32", "float32"])
        high = 2 ** rng.uniform(-6, 16 if kind == "uint16" else 31)
        numbers = (np.linspace(0, high, 100)).astype(kind).reshape(10, 10)
        try:
            picture = np.asarray(decoded(saved(Image.fromarray(numbers), "TIFF")))
        except InvalidPicture:
            continue
        if numbers.max() > 0:
            assert picture.max() >= 62
            assert (picture == 255).mean() < 0.1


def test_where_zero_is_white_the_picture_is_no_negative() -> None:
    data = saved(Image.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF")
    entry = data.index(struct.pack("<HH", 262, 3))
    inverted = data[: entry + 8] + b"\0" + data[entry + 9 :]
    assert levels(decoded(inverted)) == [255, 0]


def test_sixteen_bit_colours_that_are_almost_black_are_told() -> None:
    def made(values: list[int]) -> bytes:
        rows = b"\0" + np.array(values, ">u2").tobytes()
        head = struct.pack(">IIBBBBB", len(values) // 3, 1, 16, 2, 0, 0, 0)
        return b"".join([png.SIGNATURE, chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])

    assert levels(decoded(made([65535, 0, 0, 32768, 0, 0]))) == [255, 128]
    with pytest.raises(InvalidPicture, match="almost black"):
        decoded(made([255, 0, 0, 128, 0, 0]))


def test_a_kind_of_tiff_that_is_not_known_is_told_as_a_tiff() -> None:
    data = saved(Image.new("RGB", (4, 4)), "TIFF")
    odd = bytearray(data)
    odd[odd.index(struct.pack("<HH", 277, 3)) + 8] = 7
    with pytest.raises(InvalidPicture, match="kind of TIFF"):
        decoded(bytes(odd))


def test_samples_are_unchanged_by_the_separation() -> None:
    for sample in SAMPLES.glob("*.[pj]*g"):
        with Image.open(sample) as plain, Image.open(BytesIO(png.separate(sample.read_bytes())[0])) as separated:
            assert np.array_equal(np.asarray(plain), np.asarray(separated))
