"""A visitor's own model survives a reload: the tab keeps a secret, and the page of a new session asks it.

Browsers keep ``sessionStorage`` for one tab, through reloads, and send it to nobody. The address only says that an own
model was picked (``?model=own``), because people copy addresses.
"""

from __future__ import annotations

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from deploy_core.models.spec import ModelSpec
from deploy_core.storage.returns import Left, Returns
from pages.own import own_model
from pages.state import services, session

OWN = "own"
KEY = "own_secret"
LONGEST_SECRET = 100
GONE = "Your own model was deleted, because you were away for too long or the server started again. Bring it again."
PRIVATE = "This link was copied from a page with somebody's own model. Only the tab that brought it can show it."
# Tells the page what the tab keeps, or keeps what the page says. Some browsers refuse to keep anything.
ASK = """
export default function ({ data, setStateValue }) {
  let kept = "";
  try {
    if (data.secret) sessionStorage.setItem("deit-deploy-own", data.secret);
    if (data.forget) sessionStorage.removeItem("deit-deploy-own");
    kept = sessionStorage.getItem("deit-deploy-own") ?? "";
  } catch {}
  if (data.ask) setStateValue("kept", kept);
}
"""
# It draws nothing, and takes no room.
HIDDEN = f".st-key-{KEY} {{ display: none; }}"


def is_waiting() -> bool:
    """Mounts the component, and brings the visitor back once it has answered.

    Returns whether the page must wait for the answer, because the address says that an own model was picked.
    """
    is_new = "returned" not in st.session_state
    own = () if is_new else own_model.brought()
    secret = st.session_state.get("own_token") if own else None
    data = {"secret": secret, "ask": is_new, "forget": not is_new and not own}
    kept = _component()(key=KEY, data=data, on_kept_change=lambda: None).kept
    was_own = st.query_params.get("model") == OWN and "model" not in st.session_state
    if is_new and kept is None:
        return was_own
    if is_new:
        st.session_state["returned"] = True
        _come_back(str(kept)[:LONGEST_SECRET], was_own)
    return False


def settle() -> None:
    """Takes the banner away: the visitor has picked a model, or brought one."""
    st.session_state.pop("own_notice", None)


def note(picked: ModelSpec) -> None:
    """Remembers the visitor's models and which model is picked, for a reload."""
    if own_model.brought():
        if "own_token" not in st.session_state:
            st.session_state["own_token"] = Returns.new_secret()
            st.rerun()  # the component, drawn first, gets it then
        secret = st.session_state["own_token"]
        sources = st.session_state.get("own_sources", {})
        reference = picked.reference if picked.file else None
        services.returns().note(secret, Left(session.visitor(), reference, dict(sources)))


def _come_back(secret: str, was_own: bool) -> None:
    left = services.returns().find(secret) if secret else None
    if "visitor" in st.session_state:
        return
    if left is None:
        if was_own or secret:
            st.session_state["own_notice"] = GONE if secret else PRIVATE
        return
    st.session_state["visitor"], st.session_state["own_token"] = left.visitor, secret
    st.session_state["own_sources"] = dict(left.sources)
    session.visitor()
    if was_own and left.picked:
        st.session_state["own_new"] = left.picked


@st.cache_resource
def _component() -> ComponentRenderer:
    return st.components.v2.component("returning", css=HIDDEN, js=ASK, isolate_styles=False)
