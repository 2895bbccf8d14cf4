"""The dialog in which a visitor corrects what was read from a checkpoint."""

from __future__ import annotations

import streamlit as st

from deploy_core.models.own.assumptions import POOLING_WORDS
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.labels import parse_labels
from deploy_core.models.own.preprocessing import NORMALIZATIONS, normalization_of
from deploy_core.models.spec import ModelSpec
from deploy_core.storage.visitors import VisitorsFile
from pages.own import own_model
from pages.own.bring import LARGEST_LABELS_MB
from pages.parts import notices
from pages.state import services

CROP_MODE_WORDS = {"center": "have their center cut out", "squash": "are squashed into a square"}


@st.dialog("Correct what was read", icon=":material/edit:", on_dismiss=own_model.close_dialog)
def draw(spec: ModelSpec) -> None:
    shape = spec.architecture
    if shape is None or spec.file is None:
        return
    st.caption("Read from the shapes of the tensors. Heads and preprocessing are not in the shapes: check those.")
    heads = st.number_input("Attention heads", 1, 128, shape.heads)
    size = st.number_input(
        "Input, pixels per side",
        shape.patch,
        2048,
        shape.size,
        step=shape.patch,
        help="If this is not the size it was trained for, its position embeddings are interpolated.",
    )
    crop_mode = st.selectbox(
        "Pictures that are not square",
        [*CROP_MODE_WORDS],
        index=[*CROP_MODE_WORDS].index(spec.preprocessing.crop_mode),
        format_func=lambda mode: CROP_MODE_WORDS[mode],
    )
    resize = st.number_input(
        "Pixels of a picture's side before the crop",
        1,
        8192,
        max(size, spec.preprocessing.resize),
        help="Of the short side, or of both where pictures are squashed.",
    )
    known, now = [*NORMALIZATIONS], normalization_of(spec.preprocessing)
    index = known.index(now) if now else None
    normalization = st.selectbox("Normalization", known, index=index, placeholder="as the checkpoint says")
    pooling = None
    if shape.kind.class_token and shape.family in ("vit", "deit"):
        pooling = st.selectbox(
            "Its head reads",
            [*POOLING_WORDS],
            index=[*POOLING_WORDS].index(shape.kind.pooling),
            format_func=lambda name: POOLING_WORDS[name],
        )
    labels = st.file_uploader(
        "Other labels: one per line, CSV or JSON",
        type=["txt", "csv", "tsv", "json", "jsonl"],
        max_upload_size=LARGEST_LABELS_MB,
    )
    with notices.errors_shown():
        if st.button("Apply", type="primary"):
            corrections = Corrections(
                heads=heads,
                size=size,
                resize=resize,
                crop_mode=crop_mode,
                normalization=normalization,
                pooling=pooling,
                labels=parse_labels(labels.getvalue()) if labels else None,
            )
            with notices.in_line("Reading it again …") as tell:
                own_model.use(services.intake().correct(VisitorsFile.of(spec.file), corrections, tell))
