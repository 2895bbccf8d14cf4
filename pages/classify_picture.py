"""Classify: what is in a picture, how sure the model is, where it looks, and how every file of it answers."""

from __future__ import annotations

import streamlit as st

from deploy_core import embedded
from deploy_core.embedded import Sample
from deploy_core.inference.classify import DEFAULT_TOP
from deploy_core.models import load
from deploy_core.types import Prediction
from deploy_core.worker.tasks import Download
from pages.charts.bars import Bar, draw_bars
from pages.own import assumed
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.pictures import answers, batch, code, looks, sources
from pages.pictures.sources import Picture
from pages.state import address, picker, services

SHOWN_PIXELS = 720
MOST_SHOWN = 20
USUAL_THRESHOLD = 50

WHAT = """
**DeiT** (data-efficient image transformer) is a Vision Transformer: it cuts a picture into square patches, turns each
into a token, and lets the tokens attend to each other. Earlier Vision Transformers needed hundreds of millions of
pictures. DeiT needs ImageNet alone, because of strong augmentation and **distillation**: during training, an extra
token learns to agree with the decisions of a teacher, a convolutional network.

Here the picture is brought to the model's input size, normalized, and run once; softmax turns the logits into
probabilities. **Where it looks** is attention rollout: how much each patch contributes to the answer, followed
through the attention of all blocks. The next step, **Build**, turns this same model into files for a phone.
"""


def options(classes: int) -> tuple[int, float]:
    """How many classes to show, and the probability below which the page calls the model not sure."""
    most = min(MOST_SHOWN, classes)
    # A model with fewer classes does not change what the visitor asked for.
    address.recall("top_asked", "top", DEFAULT_TOP, lambda text: min(max(int(text), 1), MOST_SHOWN))
    st.session_state["top"] = min(st.session_state["top_asked"], most)
    with st.popover("Options", icon=":material/tune:"):
        top = st.slider("Classes shown", 1, most, key="top", on_change=_ask_for)
        threshold = st.slider(
            "Not sure below", 0, 100, USUAL_THRESHOLD, format="%d %%", key="threshold", persist_state="session"
        )
    asked = st.session_state["top_asked"]
    address.note(top=None if asked == DEFAULT_TOP else asked)
    return top, threshold / 100


def _ask_for() -> None:
    st.session_state["top_asked"] = st.session_state["top"]


def bars(prediction: Prediction) -> list[Bar]:
    return [
        Bar(
            # The index tells ImageNet's two cranes apart.
            label=f"{answer.label.split(',')[0]} · {answer.index}",
            value=answer.probability,
            text=f"{answer.probability:.1%}",
            hint=f"{answer.label}: {answer.probability:.2%}",
        )
        for answer in prediction.top
    ]


def answer(chosen: picker.Choice, picture: Picture, prediction: Prediction, threshold: float) -> None:
    best = prediction.top[0]
    if prediction.weights == "random":
        st.warning("The weights are random, so this answer means nothing.", icon=":material/casino:")
    elif best.probability < threshold:
        st.warning(
            f"**Not sure.** Its best guess has {best.probability:.0%}, less than your limit of {threshold:.0%}. "
            f"Its {len(prediction.top)} guesses are below.",
            icon=":material/help:",
        )
    st.metric(
        f"Class {best.index}",
        escaped(best.label),
        f"{best.probability:.1%} sure",
        delta_color="off",
        delta_arrow="off",
    )
    if picture.sample:
        truth(chosen, prediction, picture.sample)
    draw_bars(bars(prediction), "The most probable classes", largest=1.0)
    if chosen.spec.note and prediction.weights != "random":
        st.caption(chosen.spec.note)
    spent = prediction.milliseconds
    st.markdown(
        f"**Where the time went:** reading the picture {spent.read:.1f} ms · preprocessing {spent.preprocess:.1f} ms · "
        f"inference {spent.inference:.1f} ms on the original",
        help="Reading: decode, turn upright, convert to RGB. Preprocessing: resize, crop, normalize. The original is "
        "the float model in PyTorch; the times of the files are below.",
    )


def credit(sample: Sample) -> None:
    author, licence = escaped(sample.author), f"[{sample.licence}]({embedded.LICENCES[sample.licence]})"
    st.caption(f"Photograph: [{author}]({sample.page}), {licence}")


def truth(chosen: picker.Choice, prediction: Prediction, sample: Sample) -> None:
    """Whether the answer to a sample is right, for models that know ImageNet's classes."""
    if chosen.spec.file or prediction.weights == "random":
        return
    if prediction.top[0].index in sample.right:
        st.markdown(":green[:material/check_circle:] The answer is right.")
    else:
        st.markdown(f":orange[:material/cancel:] **The answer is wrong.** The picture shows: {sample.title.lower()}.")


def ready(chosen: picker.Choice) -> bool:
    """Whether the weights are on this server; if not, offers to download them."""
    if chosen.weights != "pretrained" or chosen.spec.is_here():
        return True
    download = Download(chosen.spec.name)
    if not progress.is_unfinished(progress.follow(download)):
        size = f"{chosen.spec.download_bytes / 1e6:.0f} MB"
        st.info(f"{escaped(chosen.spec.title)} needs its weights once: {size} from the Hugging Face Hub.")
        if st.button(f"Download {size}", icon=":material/download:", type="primary"):
            progress.submit(download)
            st.rerun()
    return False


def one(chosen: picker.Choice, picture: Picture, top: int, threshold: float) -> None:
    left, right = st.columns(2, gap="large")
    with left, notices.errors_shown():
        st.image(sources.small(picture, SHOWN_PIXELS), width="stretch", alt="The picture that is classified")
        if picture.sample:
            credit(picture.sample)
    prediction = None
    with right, notices.errors_shown():
        if ready(chosen):
            with notices.in_line("Looking …") as tell:
                prediction = services.inference().classify(chosen.model, picture.data, picture.name, top, tell)
            answer(chosen, picture, prediction, threshold)
    if prediction:
        with notices.errors_shown():
            looks.draw(chosen, picture)
        with notices.errors_shown():
            answers.draw(chosen, picture)


def classify() -> None:
    chosen = picker.choice()
    # On a phone, columns lie one below the other, and the picture's origins get its whole width.
    place, corner = st.columns([4, 1], vertical_alignment="bottom")
    with corner, st.container(horizontal_alignment="right"):
        top, threshold = options(load.find(chosen.spec.reference).classes)
    pictures = []
    with place, notices.errors_shown():
        pictures = sources.choose(chosen.spec.is_embedded and chosen.weights == "pretrained")
    if not pictures:
        st.info("Choose a picture, and the answer appears here.", icon=":material/image:")
    elif len(pictures) == 1:
        assumed.draw(chosen.spec)
        sources.remember(pictures[0])
        one(chosen, pictures[0], top, threshold)
    elif ready(chosen):
        assumed.draw(chosen.spec)
        batch.draw(chosen, pictures, top, threshold)
    code.draw(chosen, pictures, top)


st.title("What is in the picture?")
st.markdown(
    "DeiT, a Vision Transformer, names what it sees and how sure it is. Pick a picture here and a model in the "
    "sidebar. **Build** turns the model into files for a phone, **Evaluate** counts what they get right, and "
    "**Profile** shows which one to ship."
)
with notices.errors_shown():
    classify()
notices.explain(WHAT)
