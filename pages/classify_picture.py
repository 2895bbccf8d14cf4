"""Classify: a picture, its five most probable classes, and where the time went."""

from __future__ import annotations

import streamlit as st

from deploy_core import embedded, images, models, settings
from deploy_core.fetch import fetch
from deploy_core.processes import Task
from deploy_core.types import Prediction
from pages import _parts, _picker
from pages._charts import Bar, draw_bars

SAMPLES = {"Cat": "chelsea.png", "Rocket": "rocket.jpg", "Coffee": "coffee.png", "Astronaut": "astronaut.png"}
FORMATS = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif"]
SHOWN_PIXELS = 720

WHAT = """
**DeiT** (data-efficient image transformer) is a Vision Transformer: it cuts a picture into square patches, turns each
into a token, and lets the tokens attend to each other. Earlier Vision Transformers needed hundreds of millions of
pictures. DeiT needs ImageNet alone, because of strong augmentation and **distillation**: while it learns, a
convolutional network stands beside it as a teacher, and an extra token learns to agree with the teacher's decision.

Here the picture is resized and cropped to the model's input, normalized, and run once; softmax turns the logits into
probabilities. The next step, **Build**, turns this same model into files for a phone.
"""


def picture() -> tuple[bytes, str] | None:
    """The bytes of the visitor's picture and what to call it."""
    limits = settings.load()
    origin = st.segmented_control(
        "Picture from", ["Sample", "Upload", "URL"], default="Sample", required=True, key="origin"
    )
    if origin == "Sample":
        name = st.pills(
            "Sample", SAMPLES, default=next(iter(SAMPLES)), required=True, label_visibility="collapsed", key="sample"
        )
        return (embedded.SAMPLES / SAMPLES[name]).read_bytes(), SAMPLES[name]
    if origin == "Upload":
        upload = st.file_uploader(
            f"A picture of up to {limits.picture_bytes // 2**20} MB and {limits.picture_pixels // 10**6} megapixels",
            type=FORMATS,
            max_upload_size=limits.picture_bytes // 2**20,
        )
        return (upload.getvalue(), upload.name) if upload else None
    with st.form("url", border=False):
        url = st.text_input("Address of a picture", placeholder="https://…")
        if st.form_submit_button("Fetch", icon=":material/download:", key="fetch") and url:
            st.session_state.pop("fetched", None)
            with st.spinner("Fetching …"):
                st.session_state["fetched"] = (fetch(url.strip(), limits), url.strip())
    return st.session_state.get("fetched")


def bars(prediction: Prediction) -> list[Bar]:
    return [
        Bar(
            # With the index, because ImageNet has two cranes.
            label=f"{answer.label.split(',')[0]} · {answer.index}",
            value=answer.probability,
            text=f"{answer.probability:.1%}",
            hint=f"{answer.label}: {answer.probability:.2%}",
        )
        for answer in prediction.top
    ]


def answer(prediction: Prediction) -> None:
    best = prediction.top[0]
    if prediction.weights == "random":
        st.warning("The weights are random, so this answer means nothing.", icon=":material/casino:")
    elif models.find(prediction.model).hub_id is None:
        st.caption(f"This small model calls everything one of {', '.join(embedded.LABELS)}.")
    st.metric(f"Class {best.index}", best.label, f"{best.probability:.1%} sure", delta_color="off", delta_arrow="off")
    draw_bars(bars(prediction), "The most probable classes", largest=1.0)
    spent = prediction.milliseconds
    st.markdown(
        f"**Where the time went:** reading the picture {spent.read:.1f} ms · preprocessing {spent.preprocess:.1f} ms · "
        f"inference {spent.inference:.1f} ms",
        help="Reading: decode, turn upright, to RGB. Preprocessing: resize, crop, normalize.",
    )


def ready(chosen: _picker.Choice) -> bool:
    """Whether the weights are here; draws the download otherwise."""
    if chosen.weights != "pretrained" or chosen.spec.is_here():
        return True
    download = Task("download", {"model": chosen.spec.name})
    if not _parts.is_unfinished(_parts.follow(download)):
        size = f"{chosen.spec.download_bytes / 1e6:.0f} MB"
        st.info(f"{chosen.spec.title} needs its weights once: {size} from the Hugging Face Hub.")
        if st.button(f"Download {size}", icon=":material/download:", type="primary"):
            _parts.jobs().submit(download)
            st.rerun()
    return False


st.title("What is in the picture?")
st.markdown(
    "DeiT, a Vision Transformer, names what it sees and how sure it is. Pick a picture here, a model in the sidebar; "
    "then **Build** turns that model into files for a phone, **Evaluate** counts what they get right, and **Profile** "
    "tells which one to ship."
)
left, right = st.columns(2, gap="large")
chosen = _picker.choice()
given = None
with left, _parts.errors_shown():
    given = picture()
    if given:
        shown = images.decode(given[0], settings.load())
        shown.thumbnail((SHOWN_PIXELS, SHOWN_PIXELS))
        st.image(shown, width="stretch", alt="The picture that is classified")
with right, _parts.errors_shown():
    if not given:
        st.info("Choose a picture, and the answer appears here.", icon=":material/image:")
    elif ready(chosen):
        with st.spinner("Looking …", show_time=True):
            prediction = _parts.inference().classify(chosen.spec.name, chosen.weights, *given)
        answer(prediction)
_parts.explain(WHAT)
