"""The dialog in which a visitor brings a checkpoint, from a file or from the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from deploy_core.errors import InvalidCheckpoint
from deploy_core.models import families, load
from deploy_core.models.hub import PREFIX, HubName
from deploy_core.models.own import beside
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.labels import parse_labels
from deploy_core.models.own.told import DOCUMENTS
from deploy_core.worker.tasks import Fetch, TakenIn
from pages.own import own_model
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.state import services, session

LARGEST_CHECKPOINT_MB = 400
LARGEST_LABELS_MB = 2
MOST_OTHERS = 4


@st.dialog("Bring your own model", width="medium", icon=":material/upload_file:", on_dismiss=own_model.close_dialog)
def draw() -> None:
    st.markdown(
        f"A fine-tuned {families.titles('**{}**')} with its own classes, as timm, transformers or torchvision save it. "
        "You can classify with it, and build, check, profile and bundle it like any other model. Only you see it, and "
        "it is deleted soon after you leave."
    )
    origin = st.segmented_control("From", ["File", "Hugging Face Hub"], default="File", required=True, key="own_from")
    # A form's button waits for uploads: a click while the labels still travel would read the checkpoint without them.
    with st.form("own_form", border=False):
        name, files = ("", _files()) if origin == "File" else (_hub_name(), [])
        labels = st.file_uploader(
            "Labels, unless the checkpoint has them: one per line, CSV or JSON",
            type=["txt", "csv", "tsv", "json", "jsonl"],
            max_upload_size=LARGEST_LABELS_MB,
            key="own_labels",
        )
        is_fetching = origin != "File" and "own_fetching" in st.session_state
        is_sent = st.form_submit_button("Load model", type="primary", disabled=is_fetching, key="own_load")
    label_words = ["--labels", labels.name] if labels else []
    with notices.errors_shown():
        corrections = Corrections(labels=parse_labels(labels.getvalue())) if labels else Corrections()
        if origin != "File":
            if is_sent:
                _fetch(name, corrections, label_words)
            return
        if is_sent:
            st.session_state.pop("own_taken", None)
            _read(files, corrections, label_words)
        _offer_others(files, corrections, label_words)


def _files() -> list[UploadedFile]:
    files = st.file_uploader(
        f"Weights, up to {LARGEST_CHECKPOINT_MB} MB, with the JSON files beside them; or a zip of the folder",
        accept_multiple_files=True,
        max_upload_size=LARGEST_CHECKPOINT_MB,
        key="own_checkpoint",
    )
    st.caption(
        f"{' and '.join(DOCUMENTS)} say how pictures are prepared: drop them with the weights. Code in a "
        "checkpoint is never run."
    )
    return files


def _hub_name() -> str:
    name = st.text_input("Name on the Hub", placeholder=f"{PREFIX}owner/name", key="own_name")
    st.caption("A model of timm or transformers. This server uses no account, so it cannot fetch private models.")
    return name


def _read(files: Sequence[UploadedFile], corrections: Corrections, label_words: list[str]) -> None:
    """Raises InvalidCheckpoint."""
    weights, documents = _sorted(files)
    with (
        notices.in_line("Reading the checkpoint …") as tell,
        services.visitors().uploaded(session.visitor(), weights.getvalue()) as upload,
    ):
        taken = services.intake().take_in(upload, weights.name, corrections, documents, tell)
    part_words = ["--weights-key", corrections.part] if corrections.part else []
    own_model.note_source(taken.reference, [weights.name, *label_words, *part_words])
    if not taken.others or corrections.part:
        own_model.use(taken.reference)
    st.session_state["own_taken"] = taken
    own_model.use(taken.reference, keep_dialog=True)


def _offer_others(files: Sequence[UploadedFile], corrections: Corrections, label_words: list[str]) -> None:
    """The other models in the file that was just read, one click away."""
    taken: TakenIn | None = st.session_state.get("own_taken")
    if taken is None or not files:
        return
    st.info(f"**{escaped(taken.part or 'The outer weights')}** was read. The file holds other weights, too.")
    with st.container(horizontal=True):
        if st.button("Keep it", key="own_keep"):
            st.session_state.pop("own_taken")
            own_model.use(taken.reference)
        for other in taken.others[:MOST_OTHERS]:
            if st.button(f"Take {escaped(other)}", key=f"own_take_{other}"):
                st.session_state.pop("own_taken")
                services.visitors().remove(load.find(taken.reference))
                _read(files, replace(corrections, part=other), label_words)


def _sorted(files: Sequence[UploadedFile]) -> tuple[UploadedFile, dict[str, str]]:
    """The weights, and the texts of the documents beside them. Raises InvalidCheckpoint."""
    if not files:
        raise InvalidCheckpoint("No file is chosen.", "Choose the file of the weights, and load it again.")
    documents = {
        file.name: file.getvalue().decode("utf-8-sig", errors="replace")
        for file in files
        if file.name in DOCUMENTS and len(files) > 1 and file.size <= beside.LARGEST_DOCUMENT
    }
    others = [file for file in files if file.name not in documents]
    if len(others) != 1:
        name = beside.chosen([file.name for file in others], "The upload")
        others = [file for file in others if file.name == name]
    return others[0], documents


def _fetch(name: str, corrections: Corrections, label_words: list[str]) -> None:
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
