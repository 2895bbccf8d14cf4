"""Who this session is: a visitor with models of their own, and one who asks for jobs."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deploy_core.processes.jobs import Jobs
from deploy_core.storage.visitors import Visitors, new_name
from pages.state import services


@dataclass(frozen=True)
class Presence:
    """A visitor who brought a model, as long as their browser is connected."""

    visitor: str
    visitors: Visitors

    def end(self) -> None:
        self.visitors.leave(self.visitor)


def visitor() -> str:
    """The name of this session's visitor, which marks what they bring as theirs."""
    name: str = st.session_state.setdefault("visitor", new_name())
    _presence(name)
    return name


@st.cache_resource(scope="session", on_release=Presence.end, show_spinner=False)
def _presence(name: str) -> Presence:
    services.visitors().arrive(name)
    return Presence(name, services.visitors())


def note_session() -> None:
    """Remembers this session, so that what it holds is given back once its browser has gone."""
    context = get_script_run_ctx()
    if context:
        services.departures().note(context.session_id)


def name_for_jobs() -> str:
    """A name for this session, as the one that asks for jobs; it is no visitor's, and opens nothing."""
    return _asking(st.session_state.setdefault("asks_as", new_name())).name


@dataclass(frozen=True)
class Asking:
    """A session that may ask for jobs, until it ends."""

    name: str
    jobs: Jobs

    def end(self) -> None:
        self.jobs.leave(self.name)


@st.cache_resource(scope="session", on_release=Asking.end, show_spinner=False)
def _asking(name: str) -> Asking:
    return Asking(name, services.jobs())
