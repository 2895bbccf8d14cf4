"""Decodes the bytes of a picture file into an upright RGB picture, within limits."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from deploy_core.errors import InvalidPicture
from deploy_core.pictures.formats import PICTURE_FORMATS, READABLE
from deploy_core.settings import Settings

# Warning filters are global, so only one thread at a time may change and restore them.
_DECODING = threading.Lock()


def decode(
    data: bytes, settings: Settings, at_least: int | None = None, admit: Callable[[int], None] = lambda _: None
) -> Image.Image:
    """The picture in ``data`` as RGB in sRGB colours, upright, on white; the first frame of an animation.

    Use ``pool.Decoders`` for pictures of visitors: bytes can crash the process that decodes them.
    With ``at_least``, a JPEG may be decoded at a half, a quarter or an eighth of its size, if its short side keeps at
    least that many pixels: the decoder skips detail that is not needed (docs/decisions/0013-pictures.md). ``admit`` is
    called with the number of pixels before any pixel is read.
    Raises InvalidPicture if ``data`` is not a whole picture of a known format, or is larger than
    ``settings.picture_bytes`` or ``settings.picture_pixels``.
    """
    if not data:
        raise InvalidPicture("The picture is empty.", READABLE)
    if len(data) > settings.picture_bytes:
        raise too_large(settings)
    with _DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _register_heic()
            picture = Image.open(BytesIO(data), formats=[row.pillow for row in PICTURE_FORMATS])
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
        except Exception as error:  # Pillow raises many kinds of exceptions on damaged files
            raise InvalidPicture("The picture is damaged or cut off.", "Save it again, or give another one.") from error


def too_large(settings: Settings) -> InvalidPicture:
    """The error for a picture with too many bytes."""
    return InvalidPicture(f"The picture is larger than {settings.picture_bytes / 2**20:.3g} MB.", "Give a smaller one.")


def load_decoders() -> None:
    """Loads the decoders of all formats now, so that no picture waits for it."""
    Image.init()
    _register_heic()


@functools.cache
def _register_heic() -> None:
    import pi_heif

    pi_heif.register_heif_opener()


def _too_many_pixels(settings: Settings) -> InvalidPicture:
    return InvalidPicture(
        f"The picture has more than {settings.picture_pixels / 1e6:.3g} million pixels.", "Give a smaller one."
    )


def _upright(picture: Image.Image) -> Image.Image:
    with suppress(Exception):  # a picture with damaged EXIF data can still be read
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
    picture.info = {}  # profile and orientation are applied already
    return picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits, which Pillow would clip; transparent pixels become white."""
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
    except (ImageCms.PyCMSError, TypeError):  # the profile is broken, or of other colours than the picture
        return picture
    return converted or picture


def _on_white(picture: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture)
    return canvas
