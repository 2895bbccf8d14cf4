"""How a script gets the answer that the page shows."""

from __future__ import annotations

import shlex

import streamlit as st

from pages.own import own_model
from pages.pictures.sources import Picture
from pages.state import picker

SNIPPET = """import deploy_core

settings = deploy_core.load_settings()
model = deploy_core.open_model({model!r}, {weights!r}, settings)
for source in {sources!r}:
    for answer in model.classify(source, settings, top={top}).top:
        print(f"{{answer.probability:7.2%}}  {{answer.index:4}}  {{answer.label}}")"""


def draw(chosen: picker.Choice, pictures: list[Picture], top: int) -> None:
    with st.expander("Use this from code", icon=":material/terminal:"):
        model = f"models/{chosen.spec.file.name}" if chosen.spec.file else chosen.spec.name
        sources = [picture.source for picture in pictures] or ["picture.jpg"]
        lines = []
        if chosen.spec.file:
            st.caption("First make a model file of your checkpoint; then its path is the model's name.")
            lines.append(f"python -m deploy_core {shlex.join(own_model.import_words(chosen.spec))}")
        for source in sources:
            words = ["classify", source, "--model", model, "--top", str(top)]
            words += ["--weights", chosen.weights] if chosen.weights != "pretrained" else []
            lines.append(f"python -m deploy_core {shlex.join(words)}")
        st.code("\n".join(lines), language="bash", wrap_lines=True)
        st.code(SNIPPET.format(model=model, weights=chosen.weights, sources=sources, top=top), language="python")
