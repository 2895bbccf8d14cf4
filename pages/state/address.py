"""The state of a page in the address bar, so that a link opens it again. Nothing private goes into it.

Streamlit makes an entry in the browser's history of each change, and runs the page again when the visitor goes back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

# After a change, the browser may not have the new address yet when it sends the next click.
LATE_SECONDS = 1.0
KEY = "address_bar"


@dataclass
class _Written:
    """The parameters that the pages wrote last, and those that the visitor has changed since."""

    parameters: dict[str, str] = field(default_factory=dict)
    at: float = 0.0
    changed: frozenset[str] = frozenset()


def look() -> None:
    """At the start of a run: finds out which parameters the visitor changed, by going back or by hand."""
    written, now = _written(), st.query_params.to_dict()
    # Streamlit empties the address when the visitor opens another page.
    is_known = bool(now and written.parameters) and time.monotonic() - written.at > LATE_SECONDS
    both = now.items() ^ written.parameters.items() if is_known else ()
    written.changed = frozenset(name for name, _ in both)


def recall(key: str, parameter: str, default: Any, parse: Any = str) -> str | None:
    """Sets the first value of the widget ``key`` to the parameter in the address, or else to ``default``.

    Sets it again once the visitor has changed the parameter. Returns the parameter if ``parse`` refuses it with
    ValueError or KeyError, otherwise None.
    """
    if key in st.session_state and parameter not in _written().changed:
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
    before = st.query_params.to_dict()
    for name, value in parameters.items():
        if value is None:
            st.query_params.pop(name, None)
        elif before.get(name) != str(value):
            st.query_params[name] = str(value)
    written, now = _written(), st.query_params.to_dict()
    if now != before:
        written.at = time.monotonic()
    written.parameters = now


def _written() -> _Written:
    written: _Written = st.session_state.setdefault(KEY, _Written())
    return written
