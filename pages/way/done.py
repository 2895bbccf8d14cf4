"""What is done for the picked model."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from deploy_core import settings
from deploy_core.formats import ORIGINAL
from deploy_core.inference import capacity
from pages.device import reports
from pages.state import picker, services
from pages.state.picker import Choice
from pages.way.steps import BUILD, CHECK, CLASSIFY, DEVICE, PROFILE, Step

CLASSIFIED = "classified"


def note_answer(chosen: Choice) -> None:
    """Remembers that the model has answered about a picture."""
    st.session_state.setdefault(CLASSIFIED, set()).add(chosen.state)


def steps() -> frozenset[Step]:
    """The steps that are done for the picked model and weights."""
    chosen = picker.choice()
    return frozenset(step for step, is_done in DONE.items() if is_done(chosen))


def _is_classified(chosen: Choice) -> bool:
    return chosen.state in st.session_state.get(CLASSIFIED, ())


def _is_built(chosen: Choice) -> bool:
    built = services.store().find(chosen.request(capacity.offered_formats(settings.load())))
    return any(key != ORIGINAL.key for key in built)


def _is_checked(chosen: Choice) -> bool:
    return _is_shipped(chosen) or services.evaluations().has_any(chosen.spec, chosen.weights)


def _is_profiled(chosen: Choice) -> bool:
    optimize = st.session_state.get("optimize", "default")
    measured = services.runs().of(chosen.spec.name, chosen.weights, optimize, chosen.spec.owner)
    return _is_shipped(chosen) or bool(measured)


def _is_timed(chosen: Choice) -> bool:
    return bool(reports.of(chosen.spec.name))


def _is_shipped(chosen: Choice) -> bool:
    """The embedded model ships with an evaluation and a profile."""
    return chosen.spec.is_embedded and chosen.weights == "pretrained"


DONE: dict[Step, Callable[[Choice], bool]] = {
    CLASSIFY: _is_classified,
    BUILD: _is_built,
    CHECK: _is_checked,
    PROFILE: _is_profiled,
    DEVICE: _is_timed,
}
