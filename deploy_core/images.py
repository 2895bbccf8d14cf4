"""Bytes to one upright RGB picture, inside the limits, and that picture to the model's input."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from deploy_core.errors import InvalidPicture, PictureUnreachable
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing

Image.init()
DECODERS: list[str] = [
    name for name in ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF") if name in Image.OPEN
]
READABLE = "Give a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture."
# A resized side longer than this is never needed whole: only the crop in its middle is.
LONGEST_SIDE = 16


def read(source: str, settings: Settings) -> bytes:
    """The bytes of a picture file, or of an http(s) URL. Raises PictureUnreachable or InvalidPicture."""
    if "://" in source or source.startswith("data:"):
        from deploy_core.fetch import fetch

        return fetch(source, settings)
    path = Path(source).expanduser()
    try:
        if path.stat().st_size > settings.picture_bytes:
            raise too_large(settings)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureUnreachable(f"There is no file {source}.", "Check the path.") from error
    except IsADirectoryError as error:
        raise PictureUnreachable(f"{source} is a folder.", "Name one picture in it.") from error
    except (OSError, ValueError) as error:
        raise PictureUnreachable(
            f"{source} cannot be read.", "Check its name and your permission to read it."
        ) from error


def decode(data: bytes, settings: Settings) -> Image.Image:
    """An RGB picture, right side up and in sRGB: the first frame, on white where it is transparent.

    Raises InvalidPicture for bytes that are no whole picture, or one beyond the limits.
    """
    if not data:
        raise InvalidPicture("The file is empty.", READABLE)
    if len(data) > settings.picture_bytes:
        raise too_large(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decoded(data, settings)
        except InvalidPicture:
            raise
        except Image.DecompressionBombError as error:
            raise _too_many_pixels(settings) from error
        except UnidentifiedImageError as error:
            raise InvalidPicture("The file is not a picture that can be read here.", READABLE) from error
        except Exception as error:
            # Pillow's decoders raise a dozen kinds of exception on damaged files, and add more with each release.
            raise InvalidPicture("The picture is damaged or cut off.", "Save or download it again.") from error


def preprocess(picture: Image.Image, how: Preprocessing) -> np.ndarray:
    """The model's input, float32 (1, 3, crop, crop): resized, cropped, scaled to 0..1 and normalized.

    Equal to torchvision's Resize, CenterCrop, ToTensor and Normalize on the same picture.
    """
    pixels = np.asarray(crop(picture, how), dtype=np.float32) / np.float32(255)
    mean, std = np.array(how.mean, np.float32), np.array(how.std, np.float32)
    normalized = (pixels - mean) / std
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[np.newaxis])


def crop(picture: Image.Image, how: Preprocessing) -> Image.Image:
    """What the model sees: the short side resized to ``how.resize``, the middle ``how.crop`` square cut out."""
    width, height = (_resized(side, min(picture.size), how.resize) for side in picture.size)
    picture, width, height = _without_far_ends(picture, width, height, how)
    resample = Image.Resampling[how.interpolation.upper()]
    resized = picture.resize((width, height), resample)
    left, top = round((width - how.crop) / 2), round((height - how.crop) / 2)
    return resized.crop((left, top, left + how.crop, top + how.crop))


def too_large(settings: Settings) -> InvalidPicture:
    """The error for a picture of too many bytes."""
    return InvalidPicture(
        f"The picture is larger than {settings.picture_bytes / 2**20:.0f} MB.", "Save it smaller and try again."
    )


def _decoded(data: bytes, settings: Settings) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=DECODERS) as opened:
        if opened.width * opened.height > settings.picture_pixels:
            raise _too_many_pixels(settings)
        profile = opened.info.get("icc_profile")
        opened.load()
        picture = ImageOps.exif_transpose(opened)
    return _rgb(picture, profile)


def _rgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode.startswith("I"):
        return Image.fromarray(_eight_bits(picture)).convert("RGB")
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if picture.mode == "P":
        picture = picture.convert("RGB")
    return _in_srgb(picture, profile).convert("RGB")


def _eight_bits(picture: Image.Image) -> np.ndarray:
    """16-bit grey to 8 bits; Pillow's own conversion would clip it to white."""
    grey = np.asarray(picture, dtype=np.int64).clip(0, 65535)
    return (grey // 257).astype(np.uint8)


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return picture
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return converted or picture


def _resized(side: int, short: int, target: int) -> int:
    return target if side == short else int(target * side / short)


def _without_far_ends(
    picture: Image.Image, width: int, height: int, how: Preprocessing
) -> tuple[Image.Image, int, int]:
    """Cuts a very long picture to its middle first: resized whole, a 1 x 60,000 one would take gigabytes."""
    longest = how.resize * LONGEST_SIDE
    if max(width, height) <= longest:
        return picture, width, height
    short = min(picture.size)
    kept = short * LONGEST_SIDE
    if width > height:
        left = (picture.width - kept) // 2
        return picture.crop((left, 0, left + kept, short)), longest, height
    top = (picture.height - kept) // 2
    return picture.crop((0, top, short, top + kept)), width, longest


def _too_many_pixels(settings: Settings) -> InvalidPicture:
    return InvalidPicture(
        f"The picture has more than {settings.picture_pixels / 1e6:.0f} megapixels.", "Scale it down and try again."
    )
