"""The state of a page in the address bar, so that a link opens it again. Nothing private goes into it."""

from __future__ import annotations

from typing import Any

import streamlit as st


def recall(key: str, parameter: str, default: Any, parse: Any = str) -> str | None:
    """Sets the first value of the widget ``key`` to the parameter in the address, or else to ``default``.

    Returns the parameter if ``parse`` refuses it with ValueError or KeyError, otherwise None.
    """
    if key in st.session_state:
        return None
    st.session_state[key] = default
    value = st.query_params.get(parameter)
    if value is not None:
        try:
            st.session_state[key] = parse(value)
        except (ValueError, KeyError):
            return value
    return None


def note(**parameters: object) -> None:
    """Writes the parameters into the address bar and removes those that are None."""
    for name, value in parameters.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != str(value):
            st.query_params[name] = str(value)
