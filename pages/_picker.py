"""The model picker in the sidebar; what it holds is what every page works on."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from deploy_core import models, settings
from deploy_core.spec import ModelSpec
from pages import _parts

WEIGHTS = {"pretrained": "Pretrained", "checkpoint": "File", "random": "Random"}
LARGEST_CHECKPOINT_MB = 400


@dataclass(frozen=True)
class Choice:
    """The visitor's model and weights."""

    spec: ModelSpec
    weights: str


def choice() -> Choice:
    """What is picked now."""
    weights = st.session_state["weights"]
    if weights == "checkpoint":
        weights = st.session_state.get("checkpoint", "pretrained")
    return Choice(models.find(st.session_state["model"]), weights)


def draw() -> None:
    st.session_state.setdefault("model", models.find(settings.load().default_model).name)
    st.session_state.setdefault("weights", "pretrained")
    with st.sidebar:
        st.subheader("Model")
        st.selectbox(
            "Model", models.MODELS, format_func=_title, key="model", label_visibility="collapsed", filter_mode=None
        )
        spec = choice().spec
        st.caption(
            f"Knows {spec.knows}. {spec.parameters / 1e6:.1f} M parameters, "
            f"{spec.input_size} × {spec.input_size} pixels in."
        )
        st.segmented_control("Weights", WEIGHTS, format_func=WEIGHTS.__getitem__, key="weights", required=True)
        if st.session_state["weights"] == "checkpoint":
            with _parts.errors_shown():
                _upload_checkpoint()
        elif st.session_state["weights"] == "random":
            st.caption("Untrained: right for sizes and speeds, meaningless as an answer.")
        elif spec.hub_id is None:
            st.caption("Embedded in the project: nothing to download.")
        elif spec.is_here():
            st.caption("Already downloaded to this server.")
        else:
            st.caption(f"{spec.download_bytes / 1e6:.0f} MB to download from the Hugging Face Hub.")
        if spec.name != models.TUTORIAL_MODEL:
            st.button(
                "Use DeiT-Base, the tutorial's model", on_click=_use_tutorial_model, width="stretch", key="tutorial"
            )


def _upload_checkpoint() -> None:
    uploaded = st.file_uploader(
        "Weights of this model", type=["safetensors", "pth", "pt"], max_upload_size=LARGEST_CHECKPOINT_MB
    )
    if uploaded:
        if st.session_state.get("upload") != uploaded.file_id:
            kept = _parts.uploads().keep(uploaded.name, uploaded.getbuffer())
            st.session_state["checkpoint"], st.session_state["upload"] = str(kept), uploaded.file_id
        st.caption(f"Using {uploaded.name}. No code in it is run.")
    else:
        st.session_state.pop("checkpoint", None)
        st.session_state.pop("upload", None)
        st.caption("A state dict, or the DeiT authors' file. Until it is here, the pretrained weights answer.")


def _use_tutorial_model() -> None:
    st.session_state["model"] = models.TUTORIAL_MODEL


def _title(name: str) -> str:
    return models.MODELS[name].title
