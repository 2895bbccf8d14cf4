"""The dialog in which a visitor brings a checkpoint, from a file or from the Hub."""

from __future__ import annotations

import streamlit as st

from deploy_core.models import checkpoints, families
from deploy_core.models.hub import PREFIX, HubName
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.labels import parse_labels
from deploy_core.worker.tasks import Fetch
from pages.own import own_model
from pages.parts import notices, progress
from pages.state import services, session

LARGEST_CHECKPOINT_MB = 400
LARGEST_LABELS_MB = 2


@st.dialog("Bring your own DeiT", width="medium", icon=":material/upload_file:", on_dismiss=own_model.close_dialog)
def draw() -> None:
    st.markdown(
        f"A fine-tuned {families.titles('**{}**')} with its own classes. You can classify with it, "
        "build, profile and bundle it like any other model. Only you see it, and it is deleted soon after you leave."
    )
    origin = st.segmented_control("From", ["File", "Hugging Face Hub"], default="File", required=True, key="own_from")
    if origin == "File":
        checkpoint = st.file_uploader(
            f"Checkpoint, up to {LARGEST_CHECKPOINT_MB} MB: a state dict, or the DeiT authors' file",
            type=[suffix.removeprefix(".") for suffix in checkpoints.SUFFIXES],
            max_upload_size=LARGEST_CHECKPOINT_MB,
            key="own_checkpoint",
        )
        st.caption("Code in it is never run: a pickle that wants to run code is refused.")
    else:
        name = st.text_input("Name on the Hub", placeholder=f"{PREFIX}owner/name", key="own_name")
        st.caption("A model that timm saved. Private models cannot be fetched, because this server uses no account.")
    labels = st.file_uploader(
        "Labels, unless the checkpoint has them: one per line, CSV or JSON",
        type=["txt", "csv", "tsv", "json", "jsonl"],
        max_upload_size=LARGEST_LABELS_MB,
        key="own_labels",
    )
    label_words = ["--labels", labels.name] if labels else []
    with notices.errors_shown():
        corrections = Corrections(labels=parse_labels(labels.getvalue())) if labels else Corrections()
        if origin == "File":
            if st.button("Read it", type="primary", disabled=not checkpoint, key="own_read") and checkpoint:
                with (
                    notices.in_line("Reading the checkpoint …") as tell,
                    services.visitors().uploaded(session.visitor(), checkpoint.name, checkpoint.getvalue()) as upload,
                ):
                    reference = services.intake().take_in(upload, checkpoint.name, corrections, tell)
                own_model.note_source(reference, [checkpoint.name, *label_words])
                own_model.use(reference)
        else:
            _fetch(name, corrections, label_words)


def _fetch(name: str, corrections: Corrections, label_words: list[str]) -> None:
    is_fetching = "own_fetching" in st.session_state
    if st.button("Fetch it", type="primary", disabled=not name.strip() or is_fetching, key="own_fetch"):
        source, visitor = HubName.parse(name), session.visitor()
        services.visitors().require_room(visitor, 0)
        task = Fetch(source, visitor, corrections)
        progress.submit(task)
        st.session_state["own_fetching"] = task, [str(source), *label_words]
        own_model.close_dialog()
        st.rerun()


def follow_fetch() -> None:
    """Draws the progress of a download from the Hub on every page; when it ends, picks the model."""
    if "own_fetching" not in st.session_state:
        return
    task, words = st.session_state["own_fetching"]
    job = progress.follow(task)
    if not progress.is_unfinished(job):
        del st.session_state["own_fetching"]
        if job is not None and job.result:
            own_model.note_source(job.result, words)
            st.session_state["model"] = job.result
