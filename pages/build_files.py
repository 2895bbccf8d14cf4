"""Build: the deployable files of a model, checked against the original and ready to download."""

from __future__ import annotations

import dataclasses

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.store import Stored
from deploy_core.types import Artifact, BuildRequest
from pages import _parts, _picker

ENGINES = {"qnnpack": "qnnpack, for phones", "x86": "x86, for servers"}
OPTIMIZE = {"default": "Default, fast", "tutorial": "As in the tutorial"}
CHOICES = [key for key in FORMATS if key != ORIGINAL.key]

WHAT = """
A phone app cannot run Python, so the model becomes a file that runs without it, in four steps:

1. **Scripted**: TorchScript turns the Python model into a program. Size and answers stay the same.
2. **Quantized**: the weights of every Linear layer become int8, one byte instead of four. DeiT is nearly all Linear
   layers, so the file shrinks to about a quarter. Activations are quantized while it runs (*dynamic* quantization).
3. **Optimized**: the graph is folded and fused for mobile. The tutorial's way also packs the patch convolution for
   XNNPACK; its output is channels-last, which slows every later step of DeiT down. The default leaves that pass out.
4. **Lite**: the same program as bytecode for the small interpreter that fits into an app.

The **engine** is the int8 library to build for: `qnnpack` on phones. Under `x86` the lite file is twice as large. Each
file is read back from disk and must answer as the original does, on a real photograph.
"""


def results(built: Stored) -> None:
    original = next(artifact for artifact in built.result.artifacts if artifact.format == ORIGINAL.key)
    disagreeing = [FORMATS[artifact.format].title for artifact in built.result.artifacts if not artifact.same_top1]
    if disagreeing:
        st.error(
            f"**Not the original's answer: {', '.join(disagreeing)}.** Do not ship these files before you know why.",
            icon=":material/warning:",
        )
    st.dataframe(
        pd.DataFrame([row(artifact, original) for artifact in built.result.artifacts]),
        hide_index=True,
        column_config={
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
            "Change": st.column_config.NumberColumn(format="%+.0f %%", help="Size against the original"),
            "Top-1": st.column_config.TextColumn(help="The answer to the sample photograph, read back from disk"),
            "SHA-256": st.column_config.TextColumn(width=110, help="Of the whole file; double-click to see all of it"),
            "Cosine": st.column_config.NumberColumn(format="%.5f", help="Cosine similarity of the logits"),
            "Largest difference": st.column_config.NumberColumn(format="%.4f", help="Of any logit"),
            "Built in": st.column_config.NumberColumn(format="%.1f s"),
        },
    )
    st.subheader("Download")
    with st.container(horizontal=True):
        for artifact in built.result.artifacts:
            st.link_button(
                f"{FORMATS[artifact.format].title} · {artifact.bytes / 1e6:.1f} MB",
                f"artifacts/{built.key}/{artifact.file}",
                icon=":material/download:",
                help=FORMATS[artifact.format].summary,
            )


def preview(request: BuildRequest) -> None:
    """What a build will give, before there is one."""
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Format": FORMATS[key].title,
                    "What it is": FORMATS[key].summary,
                    "File": FORMATS[key].filename(request.model),
                }
                for key in request.formats
            ]
        ),
        hide_index=True,
    )


def row(artifact: Artifact, original: Artifact) -> dict[str, object]:
    return {
        "Format": FORMATS[artifact.format].title,
        "Size": artifact.bytes / 1e6,
        "Change": (artifact.bytes / original.bytes - 1) * 100,
        "Top-1": "same" if artifact.same_top1 else "DIFFERS",
        "Cosine": artifact.cosine,
        "Largest difference": artifact.max_abs_difference,
        "SHA-256": artifact.sha256,
        "Built in": artifact.seconds,
        "File": artifact.file,
    }


st.title("Files for a phone")
st.markdown("Turn the model into the files an app can load, and see what each step did to size and answers.")
chosen = _picker.choice()
keys = st.pills(
    "Formats",
    CHOICES,
    selection_mode="multi",
    default=CHOICES,
    format_func=lambda key: FORMATS[key].title,
    key="formats",
    persist_state="session",
    help="What a format needs first is built with it.",
)
left, right = st.columns(2)
with left:
    engine = st.segmented_control(
        "Engine",
        _parts.build_engines(),
        default=_parts.build_engines()[0],
        required=True,
        format_func=ENGINES.__getitem__,
        key="engine",
        persist_state="session",
    )
with right:
    optimize = st.segmented_control(
        "Optimize step",
        OPTIMIZE,
        default="default",
        required=True,
        format_func=OPTIMIZE.__getitem__,
        key="optimize",
        persist_state="session",
    )
request = BuildRequest(chosen.spec.name, chosen.weights, tuple(sorted(keys, key=CHOICES.index)), engine, optimize)
folder = _parts.store().folder(request)
built = _parts.store().find(request)
if built:
    results(built)
elif not _parts.unfinished("build", folder.name):
    label = f"Build {len(keys)} {'format' if len(keys) == 1 else 'formats'} of {chosen.spec.title}"
    if st.button(label, type="primary", disabled=not keys, icon=":material/build:", key="build"):
        _parts.jobs().submit("build", folder.name, dataclasses.asdict(request) | {"folder": str(folder)})
        st.rerun()
    preview(request)
_parts.explain(WHAT)
