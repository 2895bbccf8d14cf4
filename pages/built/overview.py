"""All files of a model in one table: before a build and after it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.inference import proof_words
from deploy_core.types import Artifact, BuildResult


def preview(keys: Sequence[str], model: str) -> None:
    """The files that a build would make."""
    rows = [FORMATS[key] for key in keys]
    st.dataframe(
        pd.DataFrame(
            [{"Format": row.title, "What it is": row.summary, "File": row.filename(model)} for row in rows],
            columns=["Format", "What it is", "File"],
        ),
        hide_index=True,
    )


def table(result: BuildResult) -> None:
    original = next((artifact for artifact in result.artifacts if artifact.format == ORIGINAL.key), None)
    rows = pd.DataFrame([_line(artifact, original) for artifact in result.artifacts])
    st.dataframe(
        rows.dropna(axis="columns", how="all"),
        hide_index=True,
        placeholder="",
        column_config={
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
            "Change": st.column_config.NumberColumn(format="%+.0f %%", help="Size against the original"),
            "Flipped labels": st.column_config.TextColumn(
                help="Photographs, and parts of photographs, to which its first answer is not the original's"
            ),
            "Cosine": st.column_config.NumberColumn(
                format="%.5f", help="Smallest cosine similarity of the logits on any of the photographs"
            ),
            "Delegated": st.column_config.NumberColumn(
                format="%.0f %%", help="Operators that the delegate computes, for files that have one"
            ),
        },
    )


def warn_of_disagreement(result: BuildResult) -> None:
    titles = [FORMATS[artifact.format].title for artifact in result.artifacts if artifact.disagrees]
    if titles:
        st.error(
            f"**Answers differ from the original's: {', '.join(titles)}.** Do not ship them before you know why.",
            icon=":material/warning:",
        )


def _line(artifact: Artifact, original: Artifact | None) -> dict[str, object]:
    proof = artifact.proof
    return {
        "Format": FORMATS[artifact.format].title,
        "Size": artifact.bytes / 1e6,
        "Change": artifact.size_change(original) * 100 if original and artifact is not original else None,
        "Flipped labels": proof_words.flips(proof) if proof else None,
        "Cosine": proof.cosine if proof else None,
        "Delegated": artifact.delegation.percent if artifact.delegation else None,
        "Verdict": proof_words.of_file(artifact),
    }
