from __future__ import annotations

import dataclasses
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features
from torchvision import transforms

from deploy_core.embedded import SAMPLES
from deploy_core.errors import InvalidPicture, PictureUnreachable
from deploy_core.pictures import decode, preprocess, read
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing
from tests.hostile import HEIC, ORIENTATION, noise, saved, swapped_profile

SETTINGS = Settings()
HOW = Preprocessing(248, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SMALL = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.25, 0.3, 0.35))
SQUASHED = dataclasses.replace(SMALL, interpolation="hamming", crop_mode="squash")
RED, WHITE = (255, 0, 0), (255, 255, 255)


def decoded(data: bytes) -> Image.Image:
    return decode.decode(data, SETTINGS)


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


# read


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "data: and more.bin"
    file.write_bytes(b"bytes")
    assert read.read(str(file), SETTINGS) == b"bytes"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{tmp}/none.png", "no file"),
        ("{tmp}", "folder"),
        ("", "folder"),
        ("nul\0byte", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("{tmp}/file/below", "cannot be read"),
        ("/dev/zero", "not a regular file"),
    ],
)
def test_what_is_no_file_is_unreachable(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PictureUnreachable, match=words):
        read.read(source.format(tmp=tmp_path), SETTINGS)


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(1001))
    assert len(read.read(str(file), Settings(picture_bytes=1001))) == 1001
    with pytest.raises(InvalidPicture, match="larger than"):
        read.read(str(file), Settings(picture_bytes=1000))


@pytest.mark.parametrize(
    "source", ["http://x.org/a", "HTTPS://x.org", "file:///etc/passwd", "data:image/png,x", "s3://x"]
)
def test_addresses_go_to_fetch(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(
        "deploy_core.pictures.fetch.fetch", lambda url, limits: f"{url} {limits.picture_bytes}".encode()
    )
    assert read.read(source, Settings(picture_bytes=7)) == f"{source} 7".encode()


# decode


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.[pj]*g")), ids=lambda path: path.name)
def test_samples_decode_as_pillow_decodes_them(sample: Path) -> None:
    picture = decoded(sample.read_bytes())
    assert picture.mode == "RGB"
    with Image.open(sample) as expected:
        assert picture.size == expected.size
        if "icc_profile" not in expected.info:
            assert np.array_equal(np.asarray(picture), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "MPO"])
def test_every_format(kind: str) -> None:
    if kind in ("WEBP", "AVIF") and not features.check(kind.lower()):
        pytest.skip(f"this Pillow has no {kind}")
    picture = decoded(saved(Image.new("RGB", (30, 20), RED), kind))
    assert (picture.mode, picture.size) == ("RGB", (30, 20))
    assert np.allclose(np.asarray(picture)[5, 5], RED, atol=3)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "JPEG2000", "TGA", "PCX", "EPS", "PDF"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(InvalidPicture, match="not a picture"):
        decoded(saved(Image.new("RGB", (32, 32), RED), kind))


@pytest.mark.parametrize("data", [b"x", b"<html></html>", bytes(1000), b"GIF89a", b"\xff\xd8\xff", b"II*\0"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPicture):
        decoded(data)


def test_empty_data_is_refused() -> None:
    with pytest.raises(InvalidPicture, match="empty"):
        decoded(b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF"])
def test_a_cut_off_picture_is_refused(kind: str) -> None:
    data = saved(noise(64, 64), kind)
    with pytest.raises(InvalidPicture) as caught:
        decoded(data[: len(data) // 2])
    assert caught.value.remedy


def test_data_above_the_limit_is_refused() -> None:
    data = saved(noise(8, 8), "PNG")
    with pytest.raises(InvalidPicture, match="larger than"):
        decode.decode(data, Settings(picture_bytes=len(data) - 1))


@pytest.mark.parametrize("side", [8001, 12_000, 60_000])
def test_too_many_pixels_are_refused_before_decoding(side: int) -> None:
    with pytest.raises(InvalidPicture, match="64 million pixels"):
        decoded(png_header(side, side))


def test_pillows_own_warning_about_pixels_does_not_leak() -> None:
    generous = Settings(picture_pixels=200_000_000)
    with pytest.raises(InvalidPicture, match="damaged"), warnings.catch_warnings(record=True) as leaked:
        decode.decode(png_header(10_000, 10_000), generous)
    assert not leaked


def test_the_warning_filters_are_left_as_they_were() -> None:
    before = list(warnings.filters)
    decoded(saved(noise(8, 8), "PNG"))
    assert list(warnings.filters) == before


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), WHITE)
    upright.paste(RED, (0, 0, 32, 16))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = decoded(saved(stored, kind, exif=exif))
    assert picture.size == (64, 32)
    assert np.abs(np.asarray(picture, int) - np.asarray(upright, int)).mean() < 8


def test_broken_exif_is_ignored() -> None:
    data = saved(Image.new("RGB", (8, 8), RED), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert decoded(data).getpixel((0, 0)) == RED


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, WHITE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decoded(data).getpixel((8, 8)) == RED


def with_see_through_pixel(mode: str) -> bytes:
    """A 2 x 1 PNG: its left pixel is fully transparent, its right one opaque and black."""
    if mode in ("RGBA", "LA"):
        picture = Image.new(mode, (2, 1))
        picture.putpixel((1, 0), (0, 0, 0, 255) if mode == "RGBA" else (0, 255))
        return saved(picture, "PNG")
    if mode == "I;16":
        return saved(Image.fromarray(np.array([[300, 0]], np.uint16)), "PNG", transparency=300)
    picture = Image.new(mode, (2, 1))
    if mode == "P":
        picture.putpalette([9, 9, 9, 0, 0, 0])
        picture.putpixel((1, 0), 1)
        return saved(picture, "PNG", transparency=0)
    picture.putpixel((0, 0), (9, 9, 9) if mode == "RGB" else 9)
    return saved(picture, "PNG", transparency=(9, 9, 9) if mode == "RGB" else 9)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "I;16"])
def test_see_through_pixels_become_white(mode: str) -> None:
    picture = decoded(with_see_through_pixel(mode))
    assert picture.getpixel((0, 0)) == WHITE
    assert picture.getpixel((1, 0)) == (0, 0, 0)


def test_half_transparent_pixels_blend_with_white() -> None:
    picture = decoded(saved(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), "PNG"))
    assert np.allclose(np.asarray(picture)[0, 0], 127, atol=1)


def test_a_transparent_gif() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.putpixel((1, 0), 1)
    result = decoded(saved(picture, "GIF", transparency=0))
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [WHITE, RED]


def test_palettes_with_an_alpha_for_each_colour() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.putpixel((1, 0), 1)
    result = decoded(saved(picture, "PNG", transparency=bytes([0, 255])))
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [WHITE, RED]


@pytest.mark.parametrize(("mode", "value", "expected"), [("1", 1, WHITE), ("L", 7, (7, 7, 7))])
def test_grey_pictures(mode: str, value: int, expected: tuple[int, int, int]) -> None:
    assert decoded(saved(Image.new(mode, (4, 4), value), "PNG")).getpixel((1, 1)) == expected


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2"), ("TIFF", "<i4")])
def test_sixteen_bits_are_scaled(kind: str, order: str) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]]).astype(order)
    picture = decoded(saved(Image.fromarray(values), kind))
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_cmyk() -> None:
    picture = decoded(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert picture.mode == "RGB"
    assert np.allclose(np.asarray(picture)[8, 8], RED, atol=4)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_rgb_profiles_are_applied(mode: str) -> None:
    picture = Image.new("RGB", (4, 4), RED).convert(mode)
    result = decoded(saved(picture, "PNG", icc_profile=swapped_profile()))
    assert np.allclose(np.asarray(result)[1, 1], (0, 255, 0), atol=6)
    assert "icc_profile" not in result.info


def test_alpha_survives_a_profile() -> None:
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decoded(saved(picture, "PNG", icc_profile=swapped_profile())).getpixel((1, 1)) == WHITE


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
@pytest.mark.parametrize("profile", [b"garbage", swapped_profile()[:200], swapped_profile() + b"more"])
def test_profiles_that_are_broken_or_fit_no_picture_are_ignored(mode: str, profile: bytes) -> None:
    color: Any = {"RGB": RED, "RGBA": (255, 0, 0, 255), "L": 99, "CMYK": (0, 255, 255, 0)}[mode]
    picture = decoded(saved(Image.new(mode, (8, 8), color), "TIFF", icc_profile=profile))
    assert picture.mode == "RGB"


def test_a_cmyk_profile_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def convert(picture: Image.Image, profile: BytesIO, _target: object, outputMode: str) -> Image.Image:  # noqa: N803
        calls.append((picture.mode, profile.read(), outputMode))
        return Image.new(outputMode, picture.size, RED)

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    data = saved(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=b"a press's profile")
    assert decoded(data).getpixel((1, 1)) == RED
    assert calls == [("CMYK", b"a press's profile", "RGB")]


# HEIC


@pytest.mark.parametrize("name", ["plain", "turned"])
def test_heic_is_read_and_turned_at_most_once(name: str) -> None:
    picture = decoded((HEIC / f"{name}.heic").read_bytes())
    assert (picture.mode, picture.size) == ("RGB", (64, 48))
    assert np.allclose(np.asarray(picture)[20, 5], RED, atol=4)
    assert np.allclose(np.asarray(picture)[20, 60], WHITE, atol=4)


def test_a_cut_off_heic_is_refused() -> None:
    with pytest.raises(InvalidPicture):
        decoded((HEIC / "plain.heic").read_bytes()[:400])


# at_least


@pytest.mark.parametrize(
    ("at_least", "size"), [(None, (1600, 1200)), (1000, (1600, 1200)), (600, (800, 600)), (64, (200, 150))]
)
def test_a_jpeg_is_read_no_smaller_than_asked_for(at_least: int | None, size: tuple[int, int]) -> None:
    data = saved(Image.new("RGB", (1600, 1200), RED), "JPEG")
    assert decode.decode(data, SETTINGS, at_least).size == size


def test_a_small_reading_is_upright_and_in_srgb_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = saved(Image.new("RGB", (1600, 1200), RED), "JPEG", icc_profile=swapped_profile(), exif=exif)
    whole, small = decode.decode(data, SETTINGS), decode.decode(data, SETTINGS, 150)
    assert small.size == (150, 200)
    assert np.allclose(np.asarray(small)[50, 50], np.asarray(whole)[400, 400], atol=2)


@pytest.mark.parametrize("size", [(500, 375), (1100, 825), (2000, 1500), (4000, 3000)])
@pytest.mark.parametrize("sample", ["zebra.jpg", "chelsea.png", "coffee.png", "school_bus.jpg"])
def test_reading_a_jpeg_small_changes_no_answer_beyond_the_bound(sample: str, size: tuple[int, int]) -> None:
    """The limit in docs/decisions/0013-pictures.md."""
    from deploy_core.inference import classify

    with Image.open(SAMPLES / sample) as picture:
        data = saved(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), "JPEG", quality=90)
    model = classify.open_model("demo", "pretrained", SETTINGS)
    quick = model.logits(classify.tensor_from(model.prepare(data, SETTINGS), model.spec)).softmax(0)
    whole = model.logits(classify.tensor_of(decoded(data), model.spec)).softmax(0)
    assert int(quick.argmax()) == int(whole.argmax())
    assert float((quick - whole).abs().max()) < 0.02


# kept_share


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (224, 224), (4000, 300), (31, 97)])
@pytest.mark.parametrize("how", [HOW, SMALL, SQUASHED], ids=["248", "36", "squashed"])
def test_the_share_that_is_kept_is_that_of_the_crop(size: tuple[int, int], how: Preprocessing) -> None:
    """Counted on a picture of stripes in different greys; the crop keeps some of them."""
    ramp = np.tile(np.arange(size[0]), (size[1], 1)).astype(np.float32)
    seen = preprocess.crop(Image.fromarray((ramp * 255 / size[0]).astype(np.uint8)).convert("RGB"), how)
    across = (int(np.asarray(seen)[..., 0].max()) - int(np.asarray(seen)[..., 0].min()) + 1) / 255
    ramp = np.tile(np.arange(size[1])[:, None], (1, size[0])).astype(np.float32)
    seen = preprocess.crop(Image.fromarray((ramp * 255 / size[1]).astype(np.uint8)).convert("RGB"), how)
    down = (int(np.asarray(seen)[..., 0].max()) - int(np.asarray(seen)[..., 0].min()) + 1) / 255
    assert preprocess.kept_share(size, how) == pytest.approx(across * down, abs=0.05)


# preprocess


def by_torchvision(picture: Image.Image, how: Preprocessing) -> np.ndarray:
    side = (how.resize, how.resize) if how.crop_mode == "squash" else how.resize
    steps = [
        transforms.Resize(side, transforms.InterpolationMode(how.interpolation), antialias=True),
        transforms.CenterCrop(how.crop),
        transforms.ToTensor(),
        transforms.Normalize(how.mean, how.std),
    ]
    tensor: np.ndarray = transforms.Compose(steps)(picture)[None].numpy()
    return tensor


@pytest.mark.parametrize(
    "how", [HOW, SMALL, SQUASHED, Preprocessing(32, 32, HOW.mean, HOW.std)], ids=["248", "36", "squashed", "32"]
)
@pytest.mark.parametrize(
    "size",
    [
        (640, 480),
        (480, 640),
        (333, 257),
        (257, 333),
        (248, 248),
        (300, 248),
        (31, 97),
        (1, 1),
        (2, 3),
        (5, 40),
        (800, 99),
    ],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_preprocess_is_torchvisions(size: tuple[int, int], how: Preprocessing) -> None:
    picture = noise(*size)
    ours = preprocess.preprocess(picture, how)
    assert ours.dtype == np.float32
    assert ours.shape == (1, 3, how.crop, how.crop)
    assert ours.flags.c_contiguous
    assert np.allclose(ours, by_torchvision(picture, how), rtol=0, atol=1e-6)


def test_crop_is_the_picture_before_numbers() -> None:
    picture = preprocess.crop(noise(100, 70), SMALL)
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    expected = (np.asarray(picture, np.float32) / 255 - 0.5) / np.array(SMALL.std, np.float32)
    assert np.allclose(preprocess.preprocess(noise(100, 70), SMALL)[0].transpose(1, 2, 0), expected, atol=1e-6)


def test_the_interpolation_is_the_one_asked_for() -> None:
    nearest = Preprocessing(32, 32, HOW.mean, HOW.std, interpolation="nearest")
    assert preprocess.crop(Image.new("RGB", (1, 1), RED), nearest).getcolors() == [(1024, RED)]


@pytest.mark.parametrize(
    "size", [(3, 200), (200, 3), (1, 60), (61, 1), (7, 1000)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_strips_are_nearly_torchvisions(size: tuple[int, int]) -> None:
    picture = noise(*size)
    one_level = 1 / 255 / min(SMALL.std)
    difference = np.abs(preprocess.preprocess(picture, SMALL) - by_torchvision(picture, SMALL))
    assert difference.mean() < one_level
    assert difference.max() < 8 * one_level


@pytest.mark.parametrize("how", [HOW, dataclasses.replace(HOW, crop_mode="squash")], ids=["center", "squash"])
@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (1_000_000, 7)])
def test_long_strips_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], how: Preprocessing
) -> None:
    resize = Image.Image.resize

    def watched(picture: Image.Image, size: tuple[int, int], *rest: object) -> Image.Image:
        assert max(size) <= 10 * HOW.resize
        return resize(picture, size, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", watched)
    assert preprocess.preprocess(Image.new("RGB", size), how).shape == (1, 3, 224, 224)
