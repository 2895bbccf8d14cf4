"""A visitor's own model: brought in a dialog, shown as it was read, corrected, and removed."""

from __future__ import annotations

import streamlit as st

from deploy_core import settings
from deploy_core.models import checkpoints, families
from deploy_core.models.hub import PREFIX, HubName
from deploy_core.models.own import card
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.labels import parse_labels
from deploy_core.models.own.preprocessing import NORMALIZATIONS, normalization_of
from deploy_core.models.spec import ModelSpec
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.worker.tasks import Fetch
from pages.parts import notices, progress, text
from pages.state import services, session

LARGEST_CHECKPOINT_MB = 400
LARGEST_LABELS_MB = 2
LABELS_SHOWN = 20
BRING, CORRECT = "bring", "correct"
CROP_MODE_WORDS = {"center": "have their center cut out", "squash": "are squashed into a square"}


def brought() -> tuple[ModelSpec, ...]:
    """The models that this visitor has brought."""
    if "visitor" not in st.session_state:
        return ()
    return services.visitors().models(session.visitor())


def open_dialog(name: str) -> None:
    """Opens the dialog ``BRING`` or ``CORRECT`` until it is closed, whatever else makes the page run again."""
    st.session_state["dialog"] = name


def _close() -> None:
    st.session_state.pop("dialog", None)


def draw_dialog(spec: ModelSpec) -> None:
    """The dialog that is open; ``spec`` is the model that is picked."""
    name = st.session_state.get("dialog")
    if name == BRING:
        _bring()
    elif name == CORRECT and spec.file:
        _correct(spec)


@st.dialog("Bring your own DeiT", width="medium", icon=":material/upload_file:", on_dismiss=_close)
def _bring() -> None:
    st.markdown(
        f"A fine-tuned {families.titles('**{}**')} with its own classes. It is classified, built, "
        "profiled and bundled like any other; you alone see it, and it is deleted soon after you leave."
    )
    origin = st.segmented_control("From", ["File", "Hugging Face Hub"], default="File", required=True, key="own_from")
    if origin == "File":
        checkpoint = st.file_uploader(
            f"Checkpoint, up to {LARGEST_CHECKPOINT_MB} MB: a state dict, or the DeiT authors' file",
            type=[suffix.removeprefix(".") for suffix in checkpoints.SUFFIXES],
            max_upload_size=LARGEST_CHECKPOINT_MB,
            key="own_checkpoint",
        )
        st.caption("No code in it is ever run: a pickle that wants to is refused.")
    else:
        name = st.text_input("Name on the Hub", placeholder=f"{PREFIX}owner/name", key="own_name")
        st.caption("As timm saved it. Private models are out of reach: no account of this server's is used.")
    labels = st.file_uploader(
        "Labels, unless the checkpoint has them: one a line, or JSON",
        type=["txt", "json"],
        max_upload_size=LARGEST_LABELS_MB,
        key="own_labels",
    )
    named = ["--labels", labels.name] if labels else []
    with notices.errors_shown():
        told = Corrections(labels=parse_labels(labels.getvalue())) if labels else Corrections()
        if origin == "File":
            if st.button("Read it", type="primary", disabled=not checkpoint, key="own_read") and checkpoint:
                with (
                    notices.in_line("Reading the checkpoint …") as tell,
                    services.visitors().uploaded(session.visitor(), checkpoint.name, checkpoint.getvalue()) as upload,
                ):
                    reference = services.intake().take_in(upload, checkpoint.name, told, tell)
                _note_source(reference, [checkpoint.name, *named])
                _use(reference)
        else:
            _fetch(name, told, named)


def describe(spec: ModelSpec) -> None:
    """What was read from the checkpoint, and how to mend it."""
    labels = ", ".join(spec.own_labels[:LABELS_SHOWN]) + (", …" if spec.classes > LABELS_SHOWN else "")
    st.caption(f"{text.plain(card.describe(spec))}.")
    st.caption(f"Labels: {text.plain(labels)}")
    st.caption("Yours alone, and deleted soon after you leave.")
    with st.container(horizontal=True):
        st.button("Correct", icon=":material/edit:", on_click=open_dialog, args=[CORRECT], key="own_correct")
        st.button("Remove", icon=":material/delete:", on_click=_remove, args=[spec], key="own_remove")


@st.dialog("Correct what was read", icon=":material/edit:", on_dismiss=_close)
def _correct(spec: ModelSpec) -> None:
    shape = spec.architecture
    if shape is None or spec.file is None:
        return
    st.caption("Read from the shapes of the tensors. Heads and preprocessing leave no trace there: check those.")
    heads = st.number_input("Attention heads", 1, 128, shape.heads)
    size = st.number_input(
        "Input, pixels a side",
        shape.patch,
        2048,
        shape.size,
        step=shape.patch,
        help="At another size than it was trained for, its position embeddings are interpolated.",
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
    labels = st.file_uploader(
        "Other labels: one a line, or JSON", type=["txt", "json"], max_upload_size=LARGEST_LABELS_MB
    )
    with notices.errors_shown():
        if st.button("Apply", type="primary"):
            told = Corrections(
                heads=heads,
                size=size,
                resize=resize,
                crop_mode=crop_mode,
                normalization=normalization,
                labels=parse_labels(labels.getvalue()) if labels else None,
            )
            with notices.in_line("Reading it again …") as tell:
                _use(services.intake().correct(VisitorsFile.of(spec.file), told, tell))


def follow_fetch() -> None:
    """The progress of a download from the Hub, wherever its visitor goes meanwhile; then the model is picked."""
    if "own_fetching" not in st.session_state:
        return
    task, words = st.session_state["own_fetching"]
    job = progress.follow(task)
    if not progress.is_unfinished(job):
        del st.session_state["own_fetching"]
        if job is not None and job.result:
            _note_source(job.result, words)
            st.session_state["model"] = job.result


def _fetch(name: str, told: Corrections, named: list[str]) -> None:
    is_fetching = "own_fetching" in st.session_state
    if st.button("Fetch it", type="primary", disabled=not name.strip() or is_fetching, key="own_fetch"):
        source, visitor = HubName.parse(name), session.visitor()
        services.visitors().require_room(visitor, 0)
        task = Fetch(source, visitor, told)
        progress.submit(task)
        st.session_state["own_fetching"] = task, [str(source), *named]
        _close()
        st.rerun()


def import_words(spec: ModelSpec) -> list[str]:
    """The command that makes the model file of a visitor's own model again, but for the program's name."""
    how = spec.preprocessing
    words = ["import", *st.session_state["own_sources"][spec.reference], "--resize", str(how.resize)]
    words += ["--crop-mode", how.crop_mode]
    normalization = normalization_of(how)
    words += [f"--normalization={normalization}"] if normalization else []
    shape = spec.architecture
    return [*words, "--heads", str(shape.heads), "--size", str(shape.size)] if shape else words


def _note_source(reference: str, words: list[str]) -> None:
    st.session_state.setdefault("own_sources", {})[reference] = words


def _use(reference: str) -> None:
    """Picks the model; the picker's own widget may not be set once it is drawn."""
    st.session_state["own_new"] = reference
    _close()
    st.rerun()


def newly_brought() -> str | None:
    """What the visitor has just brought, once."""
    reference: str | None = st.session_state.pop("own_new", None)
    return reference


def _remove(spec: ModelSpec) -> None:
    services.visitors().remove(spec)
    st.session_state["model"] = settings.load().default_model
