"""The picture formats that are read, one row each. The decoder, the pages and labelled sets use this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureFormat:
    """``pillow`` is Pillow's name for the format; the first of ``suffixes`` is the usual one."""

    title: str
    pillow: str
    suffixes: tuple[str, ...]


# Pillow opens MPO as JPEG; pi_heif opens HEIC as HEIF.
PICTURE_FORMATS = (
    PictureFormat("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    PictureFormat("PNG", "PNG", (".png",)),
    PictureFormat("WebP", "WEBP", (".webp",)),
    PictureFormat("GIF", "GIF", (".gif",)),
    PictureFormat("BMP", "BMP", (".bmp",)),
    PictureFormat("TIFF", "TIFF", (".tif", ".tiff")),
    PictureFormat("AVIF", "AVIF", (".avif",)),
    PictureFormat("HEIC", "HEIF", (".heic", ".heif")),
)
SUFFIXES = tuple(suffix for row in PICTURE_FORMATS for suffix in row.suffixes)
TITLES = f"{', '.join(row.title for row in PICTURE_FORMATS[:-1])} or {PICTURE_FORMATS[-1].title}"
READABLE = f"Give a {TITLES} picture."
