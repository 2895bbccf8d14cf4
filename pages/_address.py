"""The address bar as the state of a page: what a link opens. Nothing private goes into it."""

from __future__ import annotations

from typing import Any

import streamlit as st


def recall(key: str, parameter: str, default: Any, parse: Any = str) -> None:
    """Gives the widget ``key`` its first value: what the address says, where ``parse`` accepts that."""
    if key in st.session_state:
        return
    value = default
    if parameter in st.query_params:
        try:
            value = parse(st.query_params[parameter])
        except (ValueError, KeyError):
            value = default
    st.session_state[key] = value


def note(**parameters: object) -> None:
    """Shows the parameters in the address bar; those that are None are left out of it."""
    for name, value in parameters.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != str(value):
            st.query_params[name] = str(value)
