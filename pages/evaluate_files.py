"""Evaluate: how often the model and its files are right about labelled pictures, and where they differ."""

from __future__ import annotations

import base64
from pathlib import Path

import pandas as pd
import streamlit as st

from deploy_core import embedded, settings
from deploy_core.evaluation import scores, tables
from deploy_core.evaluation.labelled import offered
from deploy_core.evaluation.results import Disagreement, Evaluation, Opinion, Result, read_evaluation
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.types import BuildRequest
from deploy_core.worker.tasks import Evaluate
from pages.charts.charts import Dot, Interval, Share, draw_diagonal, draw_intervals, draw_matrix
from pages.parts import notices, progress
from pages.parts.text import plain
from pages.state import picker, services

UPLOAD = "Upload"
LARGEST_ARCHIVE_MB = 400
ARCHIVES = ["zip", "tar", "gz", "tgz", "xz", "bz2"]
MOST_CLASSES_DRAWN = 20
MOST_PAIRS = 10
UNREADABLE_NAMED = 20
FEW_FILES = 4
GALLERY_FIRST = 12
CARD_PIXELS = 164
ELSEWHERE = "others"

WHAT = """
A file can agree with the original on four photographs and still lose on the fifth. Only many labelled pictures tell
what int8 costs: this page asks the original and every file about each of them, and counts.

- **Top-1** is the share of pictures whose class comes first, with its 95 % interval (Wilson's).
- **Change** is against the original *on the same pictures*, so its interval is much narrower than that of the top-1: it
  counts only the pictures that one of the two has right and the other has not.
- **Calibration error** is how far the certainty of the answers is from how often they are right (ECE, 15 bins). At 0 %,
  of the answers that are 87 % sure, 87 % are right.

Int8 files are asked one picture at a time, as a phone does: their activations are scaled over a whole batch, so in a
batch a picture's answer would depend on its neighbours.
"""
LAYOUT = """
Give a **zip or tar with one folder a class**, named as the model names its classes (for ImageNet, ids such as
`n02114367` work too):

```
pictures.zip
├── cat/
│   ├── 1.jpg
│   └── 2.png
└── dog/
    └── 3.jpg
```

Pictures stay on this server only as long as there is room. From a script, or for sets too large to upload:
`python -m deploy_core evaluate FILE --data FOLDER`.
"""


def choose_pictures() -> tuple[Path, str] | None:
    """The labelled set to ask about, and what to call it."""
    sets = {path.name: path for path in offered(settings.load())}
    if sets:
        name = st.segmented_control(
            "Labelled pictures",
            [*sets, UPLOAD],
            default=next(iter(sets)),
            required=True,
            format_func=plain,
            key="pictures",
        )
        if name != UPLOAD:
            return sets[name], name
    uploaded = st.file_uploader(
        "Labelled pictures, as a zip or tar with one folder a class",
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


def choose_formats() -> tuple[str, ...]:
    reasons = services.abilities().formats
    available = [key for key, reason in reasons.items() if key != ORIGINAL.key and reason is None]
    keys = st.pills(
        "Beside the original",
        available,
        selection_mode="multi",
        default=available,
        format_func=lambda key: FORMATS[key].title,
        key="evaluated_formats",
        help="What is not built yet is built first.",
    )
    return (ORIGINAL.key, *sorted(keys, key=available.index))


def evaluate() -> None:
    chosen = picker.choice()
    pictures = choose_pictures()
    saved = chosen.spec.is_embedded and chosen.weights == "pretrained"
    if pictures is None:
        if saved:
            show_saved()
        else:
            title = plain(chosen.spec.title)
            st.info(f"{title} needs labelled pictures of {chosen.spec.knows}.", icon=":material/dataset:")
        with st.expander("How the pictures must be packed", expanded=not saved, icon=":material/folder_zip:"):
            st.markdown(LAYOUT)
        return
    path, name = pictures
    request = BuildRequest(chosen.spec.reference, chosen.weights, choose_formats())
    task = Evaluate(request, str(path), name)
    if progress.is_unfinished(progress.follow(task)):
        return
    found = services.evaluations().find(request, path)
    label = f"Evaluate {len(request.formats)} files on {plain(name)}"
    if st.button(
        f"{label} again" if found else label,
        type="secondary" if found else "primary",
        icon=":material/fact_check:",
        key="evaluate",
    ):
        progress.submit(task)
        st.rerun()
    if found:
        show(found)
    elif saved:
        show_saved()


def show_saved() -> None:
    st.markdown("#### The embedded model on CIFAR-10's test pictures")
    st.caption("A saved run. Give pictures of your own above to measure here.")
    show(read_evaluation(embedded.SAVED_EVALUATION))


def show(evaluation: Evaluation) -> None:
    headline(evaluation)
    figures(evaluation)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Top-1 with its 95 % interval**")
        accuracy(evaluation)
    with right:
        st.markdown("**Is it as sure as it is right?**")
        calibration(evaluation)
    confusion(evaluation)
    disagreements(evaluation)
    left_out(evaluation)


def headline(evaluation: Evaluation) -> None:
    original = evaluation.results[0].score
    low, high = original.top1_interval
    text = (
        f"{_title(evaluation.results[0])} is right about **{original.top1:.1%}** of {original.count:,} pictures "
        f"(between {low:.1%} and {high:.1%}, with 95 % confidence)."
    )
    changes = {_title(result): result.change for result in evaluation.results if result.change}
    if changes:
        title, worst = min(changes.items(), key=lambda item: item[1].top1)
        lowest = min(change.interval[0] for change in changes.values())
        text += (
            f" The file that loses most is {title}: **{_signed(worst.top1)} points**"
            if worst.top1 < 0
            else " **None of its files loses any** of them"
        )
        text += f"; as far as so many pictures can tell, a file could lose {-lowest * 100:.2f}."
    st.markdown(text)
    if evaluation.weights == "random":
        st.warning("The weights are random: these figures mean nothing.", icon=":material/casino:")


def figures(evaluation: Evaluation) -> None:
    rows = pd.DataFrame([row(result) for result in evaluation.results])
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Top-1": st.column_config.NumberColumn(format="%.2f %%"),
            "95 %": st.column_config.TextColumn(help="Where the top-1 lies with 95 % confidence"),
            "Change, points": st.column_config.TextColumn(
                help="Top-1 against the original, with its 95 % interval; paired, on the same pictures"
            ),
            "Won, lost": st.column_config.TextColumn(
                help="Pictures that only this file, or only the original, has right"
            ),
            "Top-5": st.column_config.NumberColumn(format="%.2f %%"),
            "Calibration error": st.column_config.NumberColumn(format="%.2f %%"),
            "Pictures/s": st.column_config.NumberColumn(
                format="%.0f", help="On this server, without reading them; int8 one at a time, float in batches"
            ),
        },
    )
    st.download_button(
        "Table as CSV",
        tables.as_csv(evaluation),
        f"{evaluation.model}_evaluation.csv",
        "text/csv",
        icon=":material/download:",
    )


def row(result: Result) -> dict[str, object]:
    figures, change = result.score, result.change
    low, high = figures.top1_interval
    return {
        "File": _title(result),
        "Top-1": figures.top1 * 100,
        "Change, points": f"{_signed(change.top1)} ({_signed(change.interval[0])} to {_signed(change.interval[1])})"
        if change
        else "",
        "95 %": f"{low * 100:.1f} to {high * 100:.1f}",
        "Won, lost": f"{change.gained}, {change.lost}" if change else "",
        "Top-5": figures.top5 * 100,
        "Calibration error": figures.ece * 100,
        "Pictures/s": figures.images_per_second,
    }


def accuracy(evaluation: Evaluation) -> None:
    draw_intervals(
        [
            Interval(
                _title(result),
                result.score.top1 * 100,
                result.score.top1_interval[0] * 100,
                result.score.top1_interval[1] * 100,
                f"{_title(result)}: {result.score.top1:.2%}",
            )
            for result in evaluation.results
        ],
        "Top-1 of each file with its 95 % interval",
        "top-1, %",
    )


def calibration(evaluation: Evaluation) -> None:
    original = evaluation.results[0].score
    draw_diagonal(
        [
            Dot(
                part.probability,
                part.accuracy,
                part.count,
                f"{part.count} answers are {part.probability:.0%} sure on average; {part.accuracy:.0%} are right",
            )
            for part in original.calibration
        ],
        "Certainty of the original's answers against how often they are right",
        "how sure it is",
        "how often it is right",
    )
    st.caption(
        f"{_title(evaluation.results[0])}: calibration error {original.ece:.1%}. On the dashed line, it is as sure as "
        "it is right; below, too sure. A larger dot stands for more pictures."
    )


def confusion(evaluation: Evaluation) -> None:
    st.markdown("#### What is taken for what")
    by_title = {_title(result): result.score for result in evaluation.results}
    title = st.selectbox("File", by_title, key="confusion", label_visibility="collapsed", filter_mode=None)
    cells = by_title[title].confusion
    names = [_short(label) for label in evaluation.labels]
    count_of, drawn = scores.totals(cells), scores.excerpt(cells, MOST_CLASSES_DRAWN)
    columns = [names[index] for index in drawn.columns] + ([ELSEWHERE] if drawn.elsewhere else [])
    left, right = st.columns([5, 4], gap="medium")
    with left:
        draw_matrix(
            [
                *(
                    share(names[cell.true], names[cell.answered], cell.count, count_of[cell.true])
                    for cell in drawn.cells
                ),
                *(share(names[true], ELSEWHERE, count, count_of[true]) for true, count in drawn.elsewhere.items()),
            ],
            [names[index] for index in drawn.rows],
            columns,
            f"Confusion matrix of {title}",
            "it is",
            "it is called",
        )
        st.caption("The numbers count pictures; the shade is the share of what it is.")
        if len(drawn.rows) < len(count_of):
            st.caption(f"The {len(drawn.rows)} classes that are mixed up most, of {len(count_of)}.")
    with right:
        st.markdown("**The most frequent mistakes**")
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "It is": names[cell.true],
                        "It is called": names[cell.answered],
                        "Pictures": cell.count,
                        "Share": cell.count / count_of[cell.true] * 100,
                    }
                    for cell in scores.mistakes(cells)[:MOST_PAIRS]
                ]
            ),
            hide_index=True,
            column_config={
                "Share": st.column_config.NumberColumn(format="%.1f %%", help="Of the pictures of what it is")
            },
        )


def share(true: str, answered: str, count: int, of: int) -> Share:
    return Share(true, answered, count / of, str(count), f"{count} of {of}: {true}, called {answered}")


def disagreements(evaluation: Evaluation) -> None:
    if len(evaluation.results) < 2:
        return
    st.markdown("#### Where the files disagree")
    share = evaluation.disagreeing / evaluation.count
    if not evaluation.disagreeing:
        st.markdown(f"Nowhere: all files answer all {evaluation.count:,} pictures alike.")
        return
    st.markdown(
        f"On **{evaluation.disagreeing:,} of {evaluation.count:,} pictures** ({share:.1%}) at least one file names "
        "another class than the others. These are near ties, as a rule: look at how sure the answers are."
    )
    kept = evaluation.disagreements
    if not kept:
        st.caption(
            "The pictures of this run are not ours to pass on. Evaluate a set of your own to see where they differ."
        )
        return
    shown = kept if len(kept) <= GALLERY_FIRST or st.session_state.get("all_disagreements") else kept[:GALLERY_FIRST]
    with st.container(horizontal=True):
        for found in shown:
            with st.container(border=True, width=CARD_PIXELS):
                disagreement(found, evaluation.labels)
    if len(kept) > GALLERY_FIRST:
        st.toggle(f"Show {len(kept)} of {evaluation.disagreeing:,}", key="all_disagreements")


def disagreement(found: Disagreement, labels: tuple[str, ...]) -> None:
    if found.thumbnail:
        st.image(base64.b64decode(found.thumbnail), width=96)
    st.markdown(f"**{plain(_short(labels[found.true]))}**", help=plain(found.picture))
    answers: dict[int, list[Opinion]] = {}
    for opinion in found.opinions:
        answers.setdefault(opinion.answer, []).append(opinion)
    for answer, said in sorted(answers.items(), key=lambda pair: -len(pair[1])):
        icon = ":green[:material/check:]" if answer == found.true else ":red[:material/close:]"
        st.markdown(f"{icon} {plain(_short(labels[answer]))}")
        least, most = (f"{extreme(opinion.probability for opinion in said):.0%}" for extreme in (min, max))
        sure = most if least == most else f"{least} to {most}"
        names = ", ".join(FORMATS[opinion.subject].title for opinion in said)
        st.caption(f"{sure} sure · {names if len(said) <= FEW_FILES else f'the other {len(said)} files'}")


def left_out(evaluation: Evaluation) -> None:
    if evaluation.unreadable:
        names = [plain(name) for name in evaluation.unreadable[:UNREADABLE_NAMED]]
        if len(evaluation.unreadable) > UNREADABLE_NAMED:
            names.append("…")
        st.warning(
            f"Cannot be read, so not counted: **{len(evaluation.unreadable)}** of the pictures. {', '.join(names)}",
            icon=":material/broken_image:",
        )
    empty = [name for name, share in evaluation.results[0].score.per_class.items() if share is None]
    if empty:
        st.caption(f"No pictures in: {', '.join(plain(name) for name in empty)}.")
    if evaluation.ignored:
        st.caption(f"Left out, because their names are not those of pictures: {evaluation.ignored} of the files.")


def _title(result: Result) -> str:
    return FORMATS[result.subject].title


def _short(label: str) -> str:
    return label.split(",")[0]


def _signed(points: float) -> str:
    return f"{points * 100:+.2f}".replace("-", "\N{MINUS SIGN}")


st.title("How often is it right?")
st.markdown("The original and its files on labelled pictures: what int8 costs, counted instead of hoped.")
with notices.errors_shown():
    evaluate()
notices.explain(WHAT)
