"""Decodes the bytes of a picture file into an upright RGB picture, within limits."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from deploy_core.errors import InvalidPicture
from deploy_core.pictures import deep, jpeg, png
from deploy_core.pictures.formats import PICTURE_FORMATS, READABLE
from deploy_core.settings import Settings

TIFF = (b"II*\0", b"MM\0*")
# Warning filters are global, so only one thread at a time may change and restore them.
_DECODING = threading.Lock()


def decode(
    data: bytes, settings: Settings, at_least: int | None = None, admit: Callable[[int], None] = lambda _: None
) -> Image.Image:
    """The picture in ``data`` as RGB in sRGB colours, upright, on white; the first frame of an animation.

    Use ``pool.Decoders`` for pictures of visitors: bytes can crash the process that decodes them.
    With ``at_least``, a JPEG may be decoded at a half, a quarter or an eighth of its size, if its short side keeps at
    least that many pixels: the decoder skips detail that is not needed (docs/decisions/0013-pictures.md). ``admit`` is
    called with the number of pixels before any pixel is read. Metadata never decide whether pixels are read, and the
    range of deep pictures comes from their numbers (docs/decisions/0017-what-a-picture-says.md).
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
            pixels, info = png.separate(jpeg.without_metadata(data))
            picture = _load(pixels, settings, at_least, admit)
            picture.info |= info
            return _rgb(_upright(picture))
        except InvalidPicture:
            raise
        except Image.DecompressionBombError as error:
            raise _too_many_pixels(settings) from error
        except MemoryError as error:
            raise InvalidPicture("The picture needs too much memory.", "Give a smaller one.") from error
        except UnidentifiedImageError as error:
            if data.startswith(TIFF):
                raise InvalidPicture("This kind of TIFF cannot be read.", deep.REMEDY) from error
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


def _load(data: bytes, settings: Settings, at_least: int | None, admit: Callable[[int], None]) -> Image.Image:
    """The picture in ``data`` with its pixels read, in its own mode."""

    def load(data: bytes) -> Image.Image:
        picture = _opened(data)
        if at_least is not None:
            short = min(picture.size)
            picture.draft(None, (picture.width * at_least // short, picture.height * at_least // short))
        has_deep_colours = deep.has_deep_colours(picture)
        picture.load()
        if has_deep_colours:
            deep.require_visible(picture)
        return picture

    width, height = _opened(data).size
    if width * height > settings.picture_pixels:
        raise _too_many_pixels(settings)
    admit(width * height)
    try:
        return load(data)
    except OSError:
        picture = jpeg.load_without_end(data, load)
        if picture is None:
            raise
        return picture


def _opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=[row.pillow for row in PICTURE_FORMATS])


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
    if deep.is_deep_grey(picture):
        picture = deep.to_eight_bits(picture)
    if picture.mode != "CMYK":
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if profile:
        picture = _srgb(picture, profile)
    picture = _on_white(picture) if picture.mode == "RGBA" else picture.convert("RGB")
    picture.info = {}  # profile and orientation are applied already
    return picture


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
