"""A visitor's own models, and which dialog about them is open."""

from __future__ import annotations

import streamlit as st

from deploy_core import settings
from deploy_core.models.own.preprocessing import normalization_of
from deploy_core.models.spec import ModelSpec
from pages.state import services, session

BRING, CORRECT = "bring", "correct"


def brought() -> tuple[ModelSpec, ...]:
    """The models that this visitor has brought."""
    if "visitor" not in st.session_state:
        return ()
    return services.visitors().models(session.visitor())


def newly_brought() -> str | None:
    """The reference of a model that was just brought or corrected, once."""
    reference: str | None = st.session_state.pop("own_new", None)
    return reference


def use(reference: str, keep_dialog: bool = False) -> None:
    """Picks a model in the next run of the page, because the picker's widget may not be set once it is drawn."""
    st.session_state["own_new"] = reference
    if not keep_dialog:
        close_dialog()
    st.rerun()


def remove(spec: ModelSpec) -> None:
    services.visitors().remove(spec)
    st.session_state["model"] = settings.load().default_model


def open_dialog(name: str) -> None:
    """Opens the dialog ``BRING`` or ``CORRECT``. It stays open until it is closed, however often the page runs."""
    st.session_state["dialog"] = name


def close_dialog() -> None:
    st.session_state.pop("dialog", None)
    st.session_state.pop("own_taken", None)


def note_source(reference: str, words: list[str]) -> None:
    """Remembers the words of the command line that name a model's checkpoint and labels."""
    st.session_state.setdefault("own_sources", {})[reference] = words


def import_words(spec: ModelSpec) -> list[str]:
    """The command that makes the model file of a visitor's own model again, without the program's name."""
    how = spec.preprocessing
    words = ["import", *st.session_state["own_sources"][spec.reference], "--resize", str(how.resize)]
    words += ["--crop-mode", how.crop_mode]
    normalization = normalization_of(how)
    words += [f"--normalization={normalization}"] if normalization else []
    shape = spec.architecture
    if shape is None:
        return words
    words += ["--heads", str(shape.heads), "--size", str(shape.size)]
    return [*words, "--pooling", shape.kind.pooling] if shape.family == "vit" else words
