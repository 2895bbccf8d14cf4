"""The visitor's pictures: samples, uploads, pasted ones, an address, the camera. They stay in memory."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import streamlit as st

from deploy_core import embedded, settings
from deploy_core.embedded import Sample
from deploy_core.pictures import formats
from deploy_core.pictures.fetch import fetch
from pages.parts.text import escaped
from pages.state import address

SAMPLES = {sample.title: sample for sample in embedded.samples()}
ORIGINS = ("Sample", "Upload", "URL", "Camera")
# The parameters of the address that say where the picture comes from: by being there, or by their value.
NAMED_BY = {"url": "URL", "from": None, "sample": "Sample"}
MOST_PICTURES = 50

# Streamlit's uploader accepts dropped files but no pasted ones, so this script turns a paste into a drop.
PASTE = """
<script>
const target = () => document.querySelector('[data-testid="stMain"] [data-testid="stFileUploader"] input[type=file]');
if (window.pastePicture) document.removeEventListener("paste", window.pastePicture);
window.pastePicture = (event) => {
  const pictures = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
  if (!pictures.length || !target()) return;
  const basket = new DataTransfer();
  pictures.forEach((file) => basket.items.add(file));
  target().files = basket.files;
  target().dispatchEvent(new Event("change", { bubbles: true }));
  event.preventDefault();
};
document.addEventListener("paste", window.pastePicture);
</script>
"""


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture file and its name; ``source`` is the path or address that a script would use."""

    data: bytes
    name: str
    source: str
    sample: Sample | None = None

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def choose(marks_mistakes: bool) -> list[Picture]:
    """The pictures that the visitor chose, none until there are some. Raises DeployError.

    ``marks_mistakes`` says which sample the embedded model gets wrong.
    """
    told = next((name for name in NAMED_BY if name in st.query_params), "from")
    address.recall("origin", told, "Sample", lambda value: NAMED_BY.get(told) or _one_of_origins(value))
    origin = st.segmented_control("Picture from", ORIGINS, required=True, key="origin", persist_state="session")
    if origin == "Sample":
        pictures = _sample(marks_mistakes)
    else:
        pictures = {"Upload": _uploads, "URL": _url, "Camera": _camera}[str(origin)]()
    address.note(
        **{"from": str(origin).lower() if origin in ("Upload", "Camera") else None},
        sample=st.session_state["sample"] if origin == "Sample" else None,
        url=pictures[0].source if origin == "URL" and pictures else None,
    )
    return pictures


def remember(picture: Picture) -> None:
    """Remembers a picture for the other pages."""
    st.session_state["at_hand"] = picture


def last() -> Picture:
    """The picture that was classified last, or the first sample if there is none."""
    picture: Picture = st.session_state.get("at_hand") or _picture_of(embedded.samples()[0])
    return picture


def _picture_of(sample: Sample) -> Picture:
    source = f"deploy_core/embedded/samples/{sample.file}"
    return Picture(sample.path.read_bytes(), sample.file, source, sample)


def _sample(marks_mistakes: bool) -> list[Picture]:
    first = next(iter(SAMPLES))
    address.recall("sample", "sample", first, lambda title: title if title in SAMPLES else first)

    def label(title: str) -> str:
        return f"{title} (a mistake)" if marks_mistakes and SAMPLES[title].is_mistaken else title

    shown = st.pills(
        "Sample",
        SAMPLES,
        format_func=label,
        required=True,
        label_visibility="collapsed",
        key="sample",
        persist_state="session",
    )
    return [_picture_of(SAMPLES[str(shown)])]


def _uploads() -> list[Picture]:
    limits = settings.load()
    uploaded = st.file_uploader(
        f"One or several, dropped or pasted: each up to {limits.picture_bytes // 2**20} MB and "
        f"{limits.picture_pixels // 10**6} megapixels",
        type=list(formats.SUFFIXES),
        accept_multiple_files=True,
        max_upload_size=limits.picture_bytes // 2**20,
        key="uploads",
        on_change=_forget,
    )
    st.html(PASTE, unsafe_allow_javascript=True)
    st.caption(f"{formats.TITLES}. They are not written to disk, and nobody else sees them.")
    if len(uploaded) > MOST_PICTURES:
        st.warning(f"Only the first {MOST_PICTURES} are classified.")
    return _kept("Upload", [Picture(file.getvalue(), file.name, file.name) for file in uploaded[:MOST_PICTURES]])


def _camera() -> list[Picture]:
    taken = st.camera_input("Take a picture", key="camera", label_visibility="collapsed", on_change=_forget)
    st.caption("The browser asks for permission first. It allows cameras on https and on localhost only.")
    return _kept("Camera", [Picture(taken.getvalue(), "camera.jpg", "camera.jpg")] if taken else [])


def _kept(origin: str, pictures: list[Picture]) -> list[Picture]:
    """The pictures; without any, those from before the visitor looked at another page, which empties the widget.

    Keeps no more bytes than one picture may have, because Streamlit's limits do not count them.
    """
    kept: dict[str, list[Picture]] = st.session_state.setdefault("kept_pictures", {})
    if pictures:
        size = sum(len(picture.data) for picture in pictures)
        kept[origin] = pictures if size <= settings.load().picture_bytes else []
    elif kept.get(origin):
        with st.container(horizontal=True, vertical_alignment="center"):
            names = ", ".join(escaped(picture.name) for picture in kept[origin])
            st.markdown(f"Still here: {names}", width="content")
            st.button("Remove", icon=":material/close:", on_click=_forget, key="forget_pictures")
        return kept[origin]
    return pictures


def _forget() -> None:
    """The visitor has changed or removed the pictures."""
    st.session_state.pop("kept_pictures", None)


def _url() -> list[Picture]:
    limits = settings.load()
    address.recall("address", "url", "")
    with st.form("url", border=False):
        st.text_input("Address of a picture", placeholder="https://…", key="address", persist_state="session")
        is_asked = st.form_submit_button("Fetch", icon=":material/download:", key="fetch")
    st.caption(
        f"From public http and https addresses, up to {limits.picture_bytes // 2**20} MB, within "
        f"{limits.fetch_seconds:g} seconds."
    )
    url = st.session_state["address"].strip()
    fetched: Picture | None = st.session_state.get("fetched")
    is_linked = url and "fetched_for" not in st.session_state
    if (is_asked and url) or is_linked:
        st.session_state["fetched_for"] = url
        st.session_state["fetched"] = fetched = None
        with st.spinner("Fetching …"):
            fetched = Picture(fetch(url, limits), url, url)
        st.session_state["fetched"] = fetched
    return [fetched] if fetched else []


def _one_of_origins(name: str) -> str:
    return {origin.lower(): origin for origin in ORIGINS}[name.lower()]
