"""QR codes: the address that a phone can open, also where the visitor sits at the computer itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit import net_util

from pages.state import links

LAN = "192.0.2.7"


@pytest.mark.parametrize(
    ("visited", "ip", "address"),
    [
        ("http://localhost:8501/build", LAN, f"http://{LAN}:8501"),
        ("http://127.0.0.1:8501/deit/build", LAN, f"http://{LAN}:8501/deit"),
        ("http://localhost:8501/build", "127.0.0.1", None),
        ("https://deit.example/build", LAN, "https://deit.example"),
        (None, LAN, None),
    ],
)
def test_localhost_becomes_the_address_in_the_network(
    visited: str | None, ip: str, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "context", SimpleNamespace(url=visited))
    monkeypatch.setattr(net_util, "get_internal_ip", lambda: ip)
    assert links._visited() == address
