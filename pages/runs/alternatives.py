"""Is DeiT the right model? What people choose instead on phones, with the figures and their sources."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core import documents, embedded
from deploy_core.profile.verdict.alternatives import ADVICE, FIGURES, Comparison


def draw() -> None:
    st.header("Is DeiT the right model?", anchor="right-model")
    st.markdown("\n".join(f"- {line}" for line in ADVICE))
    with st.expander("Public figures of phones and their chips", icon=":material/smartphone:"):
        _draw_public()
    with st.expander("Three of them beside DeiT-Tiny, measured by this project", icon=":material/speed:"):
        _draw_ours()


def _draw_public() -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": one.model,
                    "Chip": one.chip,
                    "Time (ms)": one.milliseconds,
                    "Top-1 (%)": one.top1,
                    "Precision": one.precision or "not stated",
                    "Published": one.source.date,
                    "Source": one.source.address,
                }
                for one in FIGURES
            ]
        ),
        hide_index=True,
        column_config={
            "Time (ms)": st.column_config.NumberColumn(format="%.2f"),
            "Top-1 (%)": st.column_config.NumberColumn(format="%.1f"),
            "Source": st.column_config.LinkColumn(display_text="open"),
        },
    )
    sources = {one.source.title: one.source.address for one in FIGURES}
    st.caption(
        "This project measured none of these. Compare rows of one chip and one source only. Sources: "
        + "; ".join(f"[{title}]({address})" for title, address in sources.items())
        + "."
    )


def _draw_ours() -> None:
    found = documents.read(embedded.SAVED_ALTERNATIVES, Comparison)
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": one.title,
                    "Time, DeiT-Tiny = 1": one.ratio,
                    "95 % interval": f"{one.interval[0]:.2f} to {one.interval[1]:.2f}",
                    "Size (MB)": one.megabytes,
                    "Input (pixels)": one.side,
                }
                for one in found.models
            ]
        ),
        hide_index=True,
        column_config={
            "Time, DeiT-Tiny = 1": st.column_config.NumberColumn(format="%.2f"),
            "Size (MB)": st.column_config.NumberColumn(format="%.1f"),
        },
    )
    st.caption(
        f"One run in turns on {found.date}: ONNX Runtime, float32, {found.threads} threads of {found.cpu}. The weights "
        "are random, so this compares speed and size, not answers. A PC is not a phone."
    )
