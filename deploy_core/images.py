"""From a file or an address to the model's input: ``read`` bytes, ``decode`` a picture, ``preprocess`` an array."""

from __future__ import annotations

import functools
import re
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from deploy_core.errors import InvalidPicture, PictureUnreachable
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing

# Pillow opens MPO through JPEG, and HEIC, as HEIF, through pi_heif.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
READABLE = "Give a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC picture."
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)
MAX_SQUARES = 8
# Below this, a small model's input would show what the decoder left out (docs/decisions/0013-pictures.md).
LEAST_SIDE = 512
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
))  # fmt: skip

# Warning filters belong to the whole process, so only one thread at a time may change and restore them.
_DECODING = threading.Lock()


def read(source: str, settings: Settings) -> bytes:
    """The bytes of a file or of an http(s) address.

    Raises PictureUnreachable where it gives none, and InvalidPicture above ``settings.picture_bytes``.
    """
    if not ADDRESS.match(source):
        return _read_file(source, settings)
    from deploy_core.fetch import fetch

    return fetch(source, settings)


def decode(
    data: bytes, settings: Settings, at_least: int | None = None, admit: Callable[[int], None] = lambda _: None
) -> Image.Image:
    """The picture in ``data``: RGB, sRGB colours, right side up; the first frame of an animation, on white.

    For what a stranger brings, ask ``pictures.decoders`` instead: bytes can crash the process that runs this.
    Where ``at_least`` is given, a JPEG may come out at a half, a quarter or an eighth of its size, as long as its short
    side keeps so many pixels: its decoder skips what nobody will see (docs/decisions/0013-pictures.md). ``admit`` is
    called with the number of pixels before any of them is read.
    Raises InvalidPicture where ``data`` is no whole picture of the known formats, or is one above
    ``settings.picture_bytes`` or ``settings.picture_pixels``.
    """
    if not data:
        raise InvalidPicture("The picture is empty.", READABLE)
    if len(data) > settings.picture_bytes:
        raise too_large(settings)
    with _DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _know_heic()
            picture = Image.open(BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > settings.picture_pixels:
                raise _too_many_pixels(settings)
            admit(picture.width * picture.height)
            if at_least is not None:
                short = min(picture.size)
                picture.draft(None, (picture.width * at_least // short, picture.height * at_least // short))
            picture.load()
            return _rgb(_upright(picture))
        except InvalidPicture:
            raise
        except Image.DecompressionBombError as error:
            raise _too_many_pixels(settings) from error
        except MemoryError as error:
            raise InvalidPicture("The picture needs too much memory.", "Give a smaller one.") from error
        except UnidentifiedImageError as error:
            raise InvalidPicture("This is not a picture that can be read.", READABLE) from error
        except Exception as error:  # on damaged files Pillow raises nearly anything
            raise InvalidPicture("The picture is damaged or cut off.", "Save it again, or give another one.") from error


def too_large(settings: Settings) -> InvalidPicture:
    """The error for a picture of too many bytes."""
    return InvalidPicture(f"The picture is larger than {settings.picture_bytes / 2**20:.3g} MB.", "Give a smaller one.")


def know_all_formats() -> None:
    """Loads every decoder now, so that no picture waits for it."""
    Image.init()
    _know_heic()


def enough_for(how: Preprocessing) -> int:
    """How many pixels of a picture's short side ``decode`` should keep: twice what the crop is taken from, or more."""
    return max(2 * how.resize, LEAST_SIDE)


def kept_share(size: tuple[int, int], how: Preprocessing) -> float:
    """Which share of a picture of ``size`` (width, height) is left after ``crop``, 0..1."""
    if how.is_squashed:
        return (how.crop / how.resize) ** 2
    short, long = min(size), max(size)
    left = long - 2 * _excess(size)
    return left / long * how.crop**2 / (how.resize * (how.resize * left // short))


def crop(picture: Image.Image, how: Preprocessing) -> Image.Image:
    """The part of an RGB picture that the model sees: resized as ``how.crop_mode`` says, then the center.

    Returns an RGB picture of ``how.crop`` x ``how.crop`` pixels, the same as torchvision's Resize and CenterCrop.
    """
    if how.is_squashed:
        width = height = how.resize
    else:
        picture = _without_far_ends(picture)
        width, height = (how.resize * side // min(picture.size) for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling[how.interpolation.upper()])
    left, top = round((width - how.crop) / 2), round((height - how.crop) / 2)
    return resized.crop((left, top, left + how.crop, top + how.crop))


def preprocess(picture: Image.Image, how: Preprocessing) -> NDArray[np.float32]:
    """The model's input for an RGB picture: float32, (1, 3, how.crop, how.crop), C-contiguous."""
    pixels = np.asarray(crop(picture, how), dtype=np.float32) / np.float32(255)
    normalized = (pixels - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[np.newaxis])


def _read_file(source: str, settings: Settings) -> bytes:
    path = Path(source)
    try:
        if path.is_dir():
            raise PictureUnreachable(f"'{source}' is a folder.", "Give the path of a picture.")
        if path.exists() and not path.is_file():
            raise PictureUnreachable(f"'{source}' is not a regular file.", "Give the path of a picture.")
        with path.open("rb") as file:
            data = file.read(settings.picture_bytes + 1)
    except FileNotFoundError as error:
        raise PictureUnreachable(f"There is no file '{source}'.", "Check the path.") from error
    except (OSError, ValueError) as error:
        raise PictureUnreachable(
            "The file cannot be read.", "Check its path and your permission to read it."
        ) from error
    if len(data) > settings.picture_bytes:
        raise too_large(settings)
    return data


@functools.cache
def _know_heic() -> None:
    import pi_heif

    pi_heif.register_heif_opener()


def _too_many_pixels(settings: Settings) -> InvalidPicture:
    return InvalidPicture(
        f"The picture has more than {settings.picture_pixels / 1e6:.3g} million pixels.", "Give a smaller one."
    )


def _upright(picture: Image.Image) -> Image.Image:
    with suppress(Exception):  # a photograph whose notes are damaged is still a photograph
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _rgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if picture.mode == "F":
        raise InvalidPicture("The picture holds floating-point numbers.", "Save it with 8 bits per colour.")
    if picture.mode.startswith("I"):
        picture = _eight_bits(picture)
    if picture.mode != "CMYK":
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if profile:
        picture = _srgb(picture, profile)
    picture = _on_white(picture) if picture.mode == "RGBA" else picture.convert("RGB")
    picture.info = {}  # the profile and orientation noted there are applied by now
    return picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey scaled down, where Pillow would clip; see-through pixels become white."""
    values = np.asarray(picture).clip(0, 0xFFFF)
    if "transparency" in picture.info:
        values = np.where(values == picture.info["transparency"], 0xFFFF, values)
    return Image.fromarray((values >> 8).astype(np.uint8))


def _srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            picture, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode
        )
    except (ImageCms.PyCMSError, TypeError):  # a broken profile, or one for other colours than the picture's
        return picture
    return converted or picture


def _on_white(picture: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture)
    return canvas


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """A strip longer than eight squares loses squares at both ends: resized whole, it could fill the memory."""
    excess = _excess(picture.size)
    if not excess:
        return picture
    if picture.width > picture.height:
        return picture.crop((excess, 0, picture.width - excess, picture.height))
    return picture.crop((0, excess, picture.width, picture.height - excess))


def _excess(size: tuple[int, int]) -> int:
    """How many pixels of a strip of ``size`` are cut from each end."""
    short, long = min(size), max(size)
    return max(0, long - MAX_SQUARES * short) // (2 * short) * short
