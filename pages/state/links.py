"""Addresses of built files, and their QR codes for a phone."""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

import segno
import streamlit as st
from streamlit import net_util

from deploy_core import settings
from deploy_core.storage.entry import Stored

QR_SCALE = 5


def artifact(stored: Stored) -> str:
    """The address of the file, relative to the app."""
    return f"artifacts/{stored.key}/{stored.artifact.file}"


def bundle(stored: Stored) -> str:
    """The address of the file's bundle, relative to the app."""
    return f"bundles/{stored.key}/{stored.bundle_name}"


def archive(files: Sequence[Stored]) -> str:
    """The address of a zip with all of these files, relative to the app."""
    return f"archives/{','.join(stored.key for stored in files)}/files.zip"


def traces(run_key: str) -> str:
    """The address of a run's traces, relative to the app."""
    return f"traces/{run_key}"


def draw_qr_code(address: str) -> None:
    """Draws a QR code of an address of this app. If phones cannot reach the app, says what to do instead."""
    base = settings.load().public_url or _visited()
    if base is None:
        st.markdown(
            "A phone cannot open **localhost**, and this computer has no other address. Connect it to the network of "
            "the phone."
        )
        return
    url = f"{base.rstrip('/')}/{address}"
    picture = io.BytesIO()
    segno.make(url, error="m").save(picture, kind="svg", scale=QR_SCALE, border=2, dark="#000", light="#fff")
    st.image(picture.getvalue().decode(), width=220)
    st.caption(f"<{url}>")


def _visited() -> str | None:
    """The app's address in the visitor's browser, without the page.

    In place of one that only this computer can reach, its address in the network; None if it has none.
    """
    url = st.context.url
    parts = urlsplit(url or "")
    if not parts.hostname:
        return None
    place = parts.netloc
    if _is_here(parts.hostname):
        ip = net_util.get_internal_ip()
        if ip is None or _is_here(ip) or _is_here(st.get_option("server.address") or ""):
            return None
        place = f"{ip}:{parts.port}" if parts.port else ip
    return f"{parts.scheme}://{place}{parts.path.rsplit('/', 1)[0]}"


def _is_here(host: str) -> bool:
    """Whether the name or address of a host means the computer itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
