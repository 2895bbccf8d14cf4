"""The model picker above every page. Every page works on the picked model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from deploy_core import settings
from deploy_core.inference import capacity
from deploy_core.models import catalogue, load
from deploy_core.models.spec import ModelSpec
from deploy_core.types import BuildRequest, ModelChoice
from pages.own import bring, described, own_model
from pages.parts.text import escaped
from pages.state import address, returning

WEIGHTS = {"pretrained": "Pretrained", "random": "Random"}


@dataclass(frozen=True)
class Choice:
    """The visitor's model and weights."""

    spec: ModelSpec
    weights: str

    @property
    def model(self) -> ModelChoice:
        return ModelChoice(self.spec.reference, self.weights)

    def request(self, formats: Iterable[str]) -> BuildRequest:
        """These formats, with the options that were chosen on the page Build."""
        options = {name: st.session_state[name] for name in ("engine", "optimize") if name in st.session_state}
        return BuildRequest(self.spec.reference, self.weights, tuple(formats), **options)

    @property
    def state(self) -> tuple[str, str, str]:
        """The key of cached answers. It contains the weights, because a corrected model keeps its name."""
        return self.spec.reference, self.weights, load.weights_identity(self.spec, self.weights)


def choice() -> Choice:
    """The picked model and weights."""
    spec = load.find(st.session_state["model"])
    return Choice(spec, "pretrained" if spec.file else st.session_state["weights"])


def settle() -> bool:
    """Decides which model is picked, before anything is drawn. Returns whether the page can be drawn."""
    if returning.is_waiting():
        st.caption("Looking for your own model …")
        return False
    if st.query_params.get("model") == returning.OWN and "model" not in st.session_state:
        address.note(model=None)
    unknown = address.recall("model", "model", load.find(settings.load().default_model).name, _known)
    if unknown is not None:
        _tell(f"There is no model '{escaped(unknown)}' here.")
    address.recall("weights", "weights", "pretrained", _known_weights)
    st.session_state["weights"] = _known_weights(st.session_state["weights"])
    bring.follow_fetch()
    st.session_state["model"] = own_model.newly_brought() or st.session_state["model"]
    offered, own = _offered()
    if st.session_state["model"] not in (*offered, *own):
        if st.session_state["model"] not in catalogue.MODELS:
            st.session_state["own_notice"] = returning.GONE
        elif "model" in st.query_params:
            _tell(f"{catalogue.MODELS[st.session_state['model']].title} is not offered here.")
        default = settings.load().default_model
        st.session_state["model"] = default if default in offered else offered[0]
    if own:
        returning.settle()
    return True


def draw() -> None:
    """Draws the picker: a button with the name of the model, which opens everything about it."""
    offered, own = _offered()
    with st.popover(f"Model: {escaped(choice().spec.title)}", icon=":material/check_circle:", wrap=False):
        st.selectbox(
            "Model",
            [*offered, *own],
            format_func=lambda name: f"{own[name].title} (yours)" if name in own else catalogue.MODELS[name].title,
            key="model",
            on_change=returning.settle,
            filter_mode=None,
        )
        spec = choice().spec
        if spec.file:
            described.describe(spec)
        else:
            _describe(spec)
        if spec.name != catalogue.TUTORIAL_MODEL and catalogue.TUTORIAL_MODEL in offered:
            st.button(
                "Use DeiT-Base, the tutorial's model", on_click=_use_tutorial_model, width="stretch", key="tutorial"
            )
        st.button(
            "Bring your own model",
            icon=":material/upload_file:",
            on_click=own_model.open_dialog,
            args=[own_model.BRING],
            width="stretch",
            key="bring",
        )


def finish() -> None:
    """Draws what the visitor must know about their model, and the open dialog; writes the model into the address."""
    spec = choice().spec
    if notice := st.session_state.get("own_notice"):
        st.warning(f"**{notice}** This page shows {escaped(spec.title)} instead.", icon=":material/warning:")
    described.draw_dialog(spec)
    returning.note(spec)
    address.note(**parameters(spec))


def parameters(spec: ModelSpec) -> dict[str, str | None]:
    """The picked model in the address."""
    weights = st.session_state["weights"]
    return {
        "model": returning.OWN if spec.file else spec.name,
        "weights": None if spec.file or weights == "pretrained" else weights,
    }


def _offered() -> tuple[tuple[str, ...], dict[str, ModelSpec]]:
    """The names of the catalogue's models that are offered, and the visitor's own models by their reference."""
    return capacity.offered_models(settings.load()), {spec.reference: spec for spec in own_model.brought()}


def _describe(spec: ModelSpec) -> None:
    side = spec.input_size
    st.caption(f"Knows {spec.knows}. {spec.parameters / 1e6:.1f} M parameters, {side} × {side} pixels in.")
    st.segmented_control("Weights", WEIGHTS, format_func=WEIGHTS.__getitem__, key="weights", required=True)
    if st.session_state["weights"] == "random":
        st.caption("Untrained: right for sizes and speeds, meaningless as an answer.")
    elif spec.is_embedded:
        st.caption("Embedded in the project: nothing to download.")
    elif spec.is_here():
        st.caption("Already downloaded to this server.")
    else:
        st.caption(f"{spec.download_bytes / 1e6:.0f} MB to download from the Hugging Face Hub.")


def _tell(text: str) -> None:
    st.session_state["own_notice"] = text


def _known(name: str) -> str:
    if name == returning.OWN and own_model.brought():
        return own_model.brought()[-1].reference
    return catalogue.MODELS[name].name


def _known_weights(name: str) -> str:
    return name if name in WEIGHTS else "pretrained"


def _use_tutorial_model() -> None:
    st.session_state["model"] = catalogue.TUTORIAL_MODEL
