"""The address bar as the state of a page: what a link opens. Nothing private goes into it."""

from __future__ import annotations

from typing import Any

import streamlit as st


def recall(key: str, parameter: str, default: Any, parse: Any = str) -> str | None:
    """Gives the widget ``key`` its first value: what the address says, where ``parse`` accepts that.

    Returns what the address says where it does not.
    """
    if key in st.session_state:
        return None
    st.session_state[key] = default
    said = st.query_params.get(parameter)
    if said is not None:
        try:
            st.session_state[key] = parse(said)
        except (ValueError, KeyError):
            return said
    return None


def note(**parameters: object) -> None:
    """Shows the parameters in the address bar; those that are None are left out of it."""
    for name, value in parameters.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != str(value):
            st.query_params[name] = str(value)
