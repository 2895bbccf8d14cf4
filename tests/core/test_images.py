from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from deploy_core import embedded, images
from deploy_core.errors import InvalidPicture, PictureUnreachable
from deploy_core.models import MODELS
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing

LIMITS = Settings()
CAT = (embedded.SAMPLES / "chelsea.png").read_bytes()
HOW = MODELS["deit_base_patch16_224"].preprocessing


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def flag() -> Image.Image:
    """Red above blue: it shows whether a picture is right side up and in the right colours."""
    picture = Image.new("RGB", (48, 32), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 16, 48, 32))
    return picture


def is_flag(picture: Image.Image) -> bool:
    top, bottom = (np.array(picture.getpixel((picture.width // 2, y))) for y in (3, picture.height - 4))
    return bool(abs(top - (255, 0, 0)).max() < 40 and abs(bottom - (0, 0, 255)).max() < 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_each_kind_of_picture_is_read(kind: str) -> None:
    picture = images.decode(encoded(flag(), kind), LIMITS)
    assert picture.mode == "RGB"
    assert picture.size == (48, 32)
    assert is_flag(picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photograph_is_shown_right_side_up(orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = flag().transpose(undo[orientation]) if orientation in undo else flag()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = images.decode(encoded(stored, "JPEG", exif=exif, quality=95), LIMITS)
    assert picture.size == (48, 32)
    assert is_flag(picture)


def test_a_cmyk_photograph_keeps_its_colours() -> None:
    assert is_flag(images.decode(encoded(flag().convert("CMYK"), "JPEG", quality=95), LIMITS))
    assert is_flag(images.decode(encoded(flag().convert("CMYK"), "TIFF"), LIMITS))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(8, 0)
    picture = images.decode(encoded(Image.fromarray(values), kind), LIMITS)
    assert np.abs(np.asarray(picture)[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "YCbCr", "F"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    source = flag().convert("L").convert("F") if mode == "F" else flag().convert(mode)
    kind = {"YCbCr": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    assert images.decode(encoded(source, kind), LIMITS).mode == "RGB"


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert images.decode(encoded(clear, "PNG"), LIMITS).getpixel((4, 4)) == (255, 255, 255)
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert images.decode(encoded(palette, "PNG", transparency=0), LIMITS).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    later = [Image.new("RGB", (48, 32), "green") for _ in range(3)]
    assert is_flag(images.decode(encoded(flag(), kind, save_all=True, append_images=later), LIMITS))


def test_a_colour_profile_is_honoured_and_a_broken_one_ignored() -> None:
    grey = Image.new("RGB", (8, 8), (100, 150, 200))
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    same = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = images.decode(encoded(grey, "PNG"), LIMITS).getpixel((4, 4))
    assert images.decode(encoded(grey, "PNG", icc_profile=same), LIMITS).getpixel((4, 4)) == plain
    assert images.decode(encoded(grey, "PNG", icc_profile=linear), LIMITS).mode == "RGB"
    assert images.decode(encoded(grey, "PNG", icc_profile=b"broken"), LIMITS).getpixel((4, 4)) == plain


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty"),
        (b"hello", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%PDF-1.7", "not a picture"),
        (b"P6 4 4 255 " + b"x" * 48, "not a picture"),
        (CAT[: len(CAT) // 2], "damaged or cut off"),
        (encoded(flag(), "JPEG")[:400], "damaged or cut off"),
        (encoded(flag(), "WEBP")[:-20], "damaged or cut off"),
    ],
)
def test_what_is_no_whole_picture_is_told(data: bytes, words: str) -> None:
    with pytest.raises(InvalidPicture, match=words):
        images.decode(data, LIMITS)


def test_a_decompression_bomb_is_refused_from_its_header() -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = CAT.replace(CAT[16:29], header, 1)
    # The checksum of the header chunk must fit, or Pillow refuses the file for that.
    import zlib

    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + bomb[33:]
    with pytest.raises(InvalidPicture, match="more than 64 megapixels"):
        images.decode(bomb, LIMITS)
    small = dataclasses.replace(LIMITS, picture_pixels=1000)
    with pytest.raises(InvalidPicture, match="megapixels"):
        images.decode(CAT, small)


def test_too_many_bytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    small = dataclasses.replace(LIMITS, picture_bytes=2**20)
    with pytest.raises(InvalidPicture, match="larger than 1 MB"):
        images.decode(b"x" * (2**20 + 1), small)
    with (tmp_path / "huge.png").open("wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(InvalidPicture, match="larger than"):
        images.read(str(tmp_path / "huge.png"), LIMITS)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for source, words in {
        str(tmp_path / "none.png"): "There is no file",
        str(tmp_path): "is a folder",
        "a\0b": "cannot be read",
        "x" * 5000: "cannot be read",
    }.items():
        with pytest.raises(PictureUnreachable, match=words):
            images.read(source, LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_mutated_files_are_a_picture_or_a_clear_refusal(kind: str) -> None:
    chance = random.Random(kind)
    whole = encoded(flag(), kind)
    small = dataclasses.replace(LIMITS, picture_pixels=10_000)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(InvalidPicture):
            assert images.decode(bytes(data), small).mode == "RGB"


SIZES = [(640, 427), (427, 640), (224, 224), (256, 256), (257, 255), (1, 1), (30, 30), (333, 1999), (501, 500)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", [HOW, embedded.PREPROCESSING, MODELS["deit_base_patch16_384"].preprocessing])
def test_preprocessing_is_torchvisions(size: tuple[int, int], how: Preprocessing) -> None:
    from torchvision import transforms

    theirs = transforms.Compose(
        [
            transforms.Resize(how.resize, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(how.crop),
            transforms.ToTensor(),
            transforms.Normalize(how.mean, how.std),
        ]
    )
    picture = Image.open(io.BytesIO(CAT)).convert("RGB").resize(size)
    ours = images.preprocess(picture, how)
    assert ours.dtype == np.float32
    assert ours.flags["C_CONTIGUOUS"]
    torch.testing.assert_close(torch.from_numpy(ours), theirs(picture)[None], atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 5_000)])
def test_a_very_long_picture_costs_no_more_than_its_middle(size: tuple[int, int]) -> None:
    assert images.preprocess(Image.new("RGB", size, "red"), HOW).shape == (1, 3, 224, 224)
