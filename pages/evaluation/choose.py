"""The labelled pictures and the files of an evaluation, as the visitor chooses them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from deploy_core import settings
from deploy_core.evaluation.labelled import offered
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.models import catalogue
from deploy_core.models.spec import ModelSpec
from pages.evaluation.words import short
from pages.parts.text import escaped
from pages.state import services

UPLOAD = "Upload"
LARGEST_ARCHIVE_MB = 400
ARCHIVES = ["zip", "tar", "gz", "tgz", "xz", "bz2"]

LAYOUT = "Upload a **zip or tar with one folder for each class**, named like the classes of the model{ids}:"
TREE = """pictures.zip
├── {first}/
│   ├── 1.jpg
│   └── 2.png
└── {second}/
    └── 3.jpg"""
KEPT = (
    "This server keeps the pictures only as long as there is room. From a script, or for sets too large to upload: "
    "`python -m deploy_core evaluate FILE --data FOLDER`."
)
WITH_IDS = " (ImageNet's ids such as `n02114367` work, too)"


def pictures() -> tuple[Path, str] | None:
    """The chosen set of labelled pictures and its name; None until there is one."""
    sets = {path.name: path for path in offered(settings.load())}
    if sets:
        name = st.segmented_control(
            "Labelled pictures",
            [*sets, UPLOAD],
            default=next(iter(sets)),
            required=True,
            format_func=escaped,
            key="pictures",
        )
        if name != UPLOAD:
            return sets[name], name
    uploaded = st.file_uploader(
        "Labelled pictures, as a zip or tar with one folder for each class",
        type=ARCHIVES,
        max_upload_size=LARGEST_ARCHIVE_MB,
        key="archive",
    )
    if not uploaded:
        return None
    if st.session_state.get("archive_kept") != uploaded.file_id:
        kept = services.uploads().keep(uploaded.name, uploaded.getvalue())
        st.session_state["archive_path"], st.session_state["archive_kept"] = str(kept), uploaded.file_id
    return Path(st.session_state["archive_path"]), uploaded.name


def formats() -> tuple[str, ...]:
    """The keys of the chosen formats, the original first."""
    reasons = services.abilities().formats
    available = [
        key for key, reason in reasons.items() if key != ORIGINAL.key and reason is None and FORMATS[key].runs_here
    ]
    keys = st.pills(
        "Compared with the original",
        available,
        selection_mode="multi",
        default=available,
        format_func=lambda key: FORMATS[key].title,
        key="evaluated_formats",
        help="Files that do not exist yet are built first.",
    )
    return (ORIGINAL.key, *sorted(keys, key=available.index))


def explain_layout(spec: ModelSpec, is_open: bool) -> None:
    """Shows an archive with folders named after the first classes of the model."""
    first, *others = [" ".join(short(label).replace("/", " ").split()) for label in catalogue.labels(spec)[:2]]
    with st.expander("How the pictures must be packed", expanded=is_open, icon=":material/folder_zip:"):
        st.markdown(LAYOUT.format(ids=WITH_IDS if catalogue.label_ids(spec) else ""))
        st.code(TREE.format(first=first, second=others[0] if others else "…"), language=None)
        st.markdown(KEPT)
