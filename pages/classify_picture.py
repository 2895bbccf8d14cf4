"""Classify: what is in a picture, with which confidence, where the model looks, and how every file of it answers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from deploy_core import embedded
from deploy_core.embedded import Sample
from deploy_core.inference.classify import DEFAULT_TOP
from deploy_core.shares import percent
from deploy_core.types import Answer, Milliseconds
from deploy_core.worker.tasks import Download
from pages.charts.bars import Bar, draw_bars
from pages.own import assumed, own_model
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.pictures import answers, asking, batch, code, drawings, looks, sources
from pages.pictures.asking import Answered
from pages.pictures.sources import Picture
from pages.state import address, picker
from pages.way import done
from pages.way.steps import BUILD

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
    asked = st.session_state["top_asked"]
    address.note(top=None if asked == DEFAULT_TOP else asked)
    return st.session_state["top"], st.session_state.get("threshold", USUAL_THRESHOLD) / 100


def draw_options(classes: int) -> None:
    with st.popover("Options", icon=":material/tune:"):
        st.slider("Classes shown", 1, min(MOST_SHOWN, classes), key="top", on_change=_ask_for)
        st.slider(
            "Not sure below a confidence of",
            0,
            100,
            USUAL_THRESHOLD,
            format="%d %%",
            key="threshold",
            persist_state="session",
        )


def _ask_for() -> None:
    st.session_state["top_asked"] = st.session_state["top"]


def bars(top: Sequence[Answer]) -> list[Bar]:
    return [
        Bar(
            # The index tells ImageNet's two cranes apart.
            label=f"{answer.label.split(',')[0]} · {answer.index}",
            value=answer.probability,
            text=percent(answer.probability, 1),
            hint=f"{answer.label}: {percent(answer.probability, 2)}",
        )
        for answer in top
    ]


def answer(chosen: picker.Choice, picture: Picture, answered: Answered, threshold: float) -> None:
    top, best = answered.top, answered.top[0]
    if chosen.weights == "random":
        st.warning("The weights are random, so this answer means nothing.", icon=":material/casino:")
    elif best.probability < threshold:
        st.warning(
            f"**Not sure.** Its confidence is {percent(best.probability)}, below {percent(threshold)}, the limit under "
            f"Options. Its {len(top)} best guesses are below.",
            icon=":material/help:",
        )
    st.metric(
        f"Class {best.index}",
        escaped(best.label),
        f"Confidence {percent(best.probability, 1)}",
        delta_color="off",
        delta_arrow="off",
    )
    if picture.sample:
        truth(chosen, top, picture.sample)
    draw_bars(bars(top), "The most probable classes", largest=1.0)
    if chosen.spec.note and chosen.weights != "random":
        st.caption(chosen.spec.note)
    if answered.spent:
        times(answered.spent)


def times(spent: Milliseconds) -> None:
    st.markdown(
        f"**Where the time went:** reading the picture {spent.read:.1f} ms · preprocessing {spent.preprocess:.1f} ms · "
        f"inference {spent.inference:.1f} ms on the original",
        help="Reading: decode, turn upright, convert to RGB. Preprocessing: resize, crop, normalize. The original is "
        "the float model in PyTorch; the page Profile times the files.",
    )


def credit(sample: Sample) -> None:
    author, licence = escaped(sample.author), f"[{sample.licence}]({embedded.LICENCES[sample.licence]})"
    st.caption(f"Photograph: [{author}]({sample.page}), {licence}")


def truth(chosen: picker.Choice, top: Sequence[Answer], sample: Sample) -> None:
    """Whether the answer to a sample is right, for models that know ImageNet's classes."""
    if chosen.spec.file or chosen.weights == "random":
        return
    if top[0].index in sample.right:
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
    left, right = st.columns(2, gap="medium")
    with left, notices.errors_shown(), st.container(key="classified"):
        st.image(drawings.small(picture, SHOWN_PIXELS), width="stretch", alt="The picture that is classified")
    answered: Answered | None = None
    with right, notices.errors_shown():
        if ready(chosen):
            answered = asking.ask(chosen, picture, top)
            answer(chosen, picture, answered, threshold)
            draw_options(chosen.spec.classes)
            done.note_answer(chosen)
    if picture.sample:
        credit(picture.sample)
    if answered:
        looks.draw(chosen.spec, picture, answered.attention)
        with notices.errors_shown():
            answers.draw(chosen, picture)


def doors() -> None:
    """The three ways in."""
    # Three in a row on a phone, too, so that the answer is in sight there.
    with st.grid(3, wrap=False, min_column_width=90, gap="xsmall", key="doors"):
        st.button("Try your own picture", on_click=_open_upload, width="stretch", wrap=True, key="door_try")
        st.button(
            "Bring your checkpoint",
            on_click=own_model.open_dialog,
            args=[own_model.BRING],
            width="stretch",
            wrap=True,
            key="door_bring",
        )
        if st.button("See which file to ship", width="stretch", wrap=True, key="door_ship"):
            st.switch_page(BUILD.file)


def _open_upload() -> None:
    st.session_state["origin"] = "Upload"


def classify() -> None:
    chosen = picker.choice()
    top, threshold = options(chosen.spec.classes)
    pictures = []
    with notices.errors_shown():
        pictures = sources.choose(chosen.spec.is_embedded and chosen.weights == "pretrained")
    if not pictures:
        st.info("Choose a picture, and the answer appears here.", icon=":material/image:")
    elif len(pictures) == 1:
        assumed.draw(chosen.spec)
        sources.remember(pictures[0])
        one(chosen, pictures[0], top, threshold)
    elif ready(chosen):
        assumed.draw(chosen.spec)
        draw_options(chosen.spec.classes)
        batch.draw(chosen, pictures, top, threshold)
    code.draw(chosen, pictures, top)


st.title("Turn a Vision Transformer checkpoint into a file that runs on a phone, and prove it")
doors()
with notices.errors_shown():
    classify()
notices.explain(WHAT)
