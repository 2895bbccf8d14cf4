"""The names of this session: as a visitor who owns models, and as the requester of jobs."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deploy_core.processes.jobs import Jobs
from deploy_core.storage.visitors import Visitors, new_name
from pages.state import services


@dataclass(frozen=True)
class VisitorSession:
    """A visitor's session; when it ends, the visitor leaves."""

    visitor: str
    visitors: Visitors

    def end(self) -> None:
        self.visitors.leave(self.visitor)


@dataclass(frozen=True)
class RequesterSession:
    """The session of someone who asks for jobs; when it ends, its jobs are cancelled unless others wait for them."""

    name: str
    jobs: Jobs

    def end(self) -> None:
        self.jobs.leave(self.name)


def visitor() -> str:
    """The name of this session's visitor, which marks their models and files as theirs."""
    name: str = st.session_state.setdefault("visitor", new_name())
    return _visitor_session(name).visitor


def requester() -> str:
    """The name under which this session asks for jobs. It is not the visitor's name and gives no access to files."""
    name: str = st.session_state.setdefault("asks_as", new_name())
    return _requester_session(name).name


def note_session() -> None:
    """Remembers this session, so that its memory is released once its browser has gone."""
    context = get_script_run_ctx()
    if context:
        services.departures().note(context.session_id)


@st.cache_resource(scope="session", on_release=VisitorSession.end, show_spinner=False)
def _visitor_session(name: str) -> VisitorSession:
    services.visitors().arrive(name)
    return VisitorSession(name, services.visitors())


@st.cache_resource(scope="session", on_release=RequesterSession.end, show_spinner=False)
def _requester_session(name: str) -> RequesterSession:
    return RequesterSession(name, services.jobs())
