"""Check: how often the model and its files are right about labelled pictures, and where they differ."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from deploy_core import embedded
from deploy_core.errors import UnknownClasses
from deploy_core.evaluation.results import Evaluation, read_evaluation
from deploy_core.types import BuildRequest
from deploy_core.worker.tasks import Evaluate
from pages.evaluation import charts, choose, confusion, disagreements, figures
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.state import picker, services

WHAT = """
A file can agree with the original on 200 photographs and still lose on others. Only many labelled pictures show
what int8 costs: here the original and every file classify each of them, and the page counts.

- **Top-1** is the share of pictures whose true class comes first, with its 95 % interval (Wilson's).
- **Change** is against the original *on the same pictures*, so its interval is much narrower than that of the top-1: it
  counts only the pictures that one of the two has right and the other has not.
- **Calibration** asks whether confidence matches accuracy: of answers with a confidence of 87 %, 87 % should be right.
  The calibration error is the gap between the two (ECE, 15 bins).

Int8 files get one picture at a time, as on a phone. They scale activations over a whole batch, so in a batch the
answer to one picture would depend on the others.
"""


def evaluate() -> None:
    chosen = picker.choice()
    pictures = choose.pictures()
    is_saved = chosen.spec.is_embedded and chosen.weights == "pretrained"
    if pictures is None:
        if is_saved:
            show_saved()
        else:
            title = escaped(chosen.spec.title)
            st.info(f"{title} needs labelled pictures of {chosen.spec.knows}.", icon=":material/dataset:")
        choose.explain_layout(chosen.spec, is_open=not is_saved)
        return
    path, name = pictures
    request = BuildRequest(chosen.spec.reference, chosen.weights, choose.formats())
    task = Evaluate(request, str(path), name, skip_unknown=st.session_state.get("skip_unknown") == str(path))
    job = progress.follow(task)
    if progress.is_unfinished(job):
        return
    if job and isinstance(job.error, UnknownClasses) and not task.skip_unknown:
        offer_the_rest(task)
    evaluation = services.evaluations().find(request, path)
    label = f"Evaluate {len(request.formats)} files on {escaped(name)}"
    if st.button(
        f"{label} again" if evaluation else label,
        type="secondary" if evaluation else "primary",
        icon=":material/fact_check:",
        key="evaluate",
    ):
        progress.submit(task)
        st.rerun()
    if evaluation:
        show(evaluation)
    elif is_saved:
        show_saved()


def offer_the_rest(task: Evaluate) -> None:
    """Offers to leave out the folders that the model does not know."""
    if st.button("Leave it out and evaluate the rest", icon=":material/folder_off:", key="leave_out"):
        st.session_state["skip_unknown"] = task.pictures
        progress.submit(replace(task, skip_unknown=True))
        st.rerun()


def show_saved() -> None:
    st.header("The included model on 500 photographs")
    st.caption(
        "A saved run: each photograph is of another class. None was in the training, and none is among those that "
        "Build proves files with. Upload your own pictures above to measure here."
    )
    show(read_evaluation(embedded.SAVED_EVALUATION))


def show(evaluation: Evaluation) -> None:
    figures.headline(evaluation)
    figures.table(evaluation)
    figures.verdicts(evaluation)
    charts.accuracy(evaluation)
    st.header("Calibration: does its confidence match its accuracy?")
    charts.calibration(evaluation)
    confusion.draw(evaluation)
    disagreements.draw(evaluation)
    figures.not_counted(evaluation)


st.title("How often is it right?")
st.markdown("The original and its files answer the same labelled pictures. What do the smaller files lose?")
with notices.errors_shown():
    evaluate()
notices.explain(WHAT)
