"""Build: the deployable files of a model, each proven against the original, ready to download."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.build import OPTIMIZE_CHOICES, Build
from deploy_core.formats import FORMATS, ORIGINAL, in_build_order
from deploy_core.inference import verify
from deploy_core.processes.job import Job
from deploy_core.storage.entry import Stored
from deploy_core.types import Artifact, BuildRequest, BuildResult, Unbuilt
from pages.parts import notices, progress, text
from pages.state import links, picker, services

ENGINES = {"qnnpack": "qnnpack, for phones", "x86": "x86, for servers"}
OPTIMIZE = {"default": "Default, fast", "tutorial": "As in the tutorial"}

FAMILIES = "\n".join(dict.fromkeys(f"- {row.family.about}" for row in FORMATS.values() if row.family.about))
WHAT = f"""
A phone app cannot run Python, so the model becomes a file that runs without it. These families of files do that:

{FAMILIES}

The **engine** is the int8 library that the TorchScript files are built for: `qnnpack` on phones. The **optimize step**
of the tutorial makes DeiT slower, so the default leaves one of its passes out.

Each file is read back from disk and answers the same photographs as the original, one at a time. A file that disagrees
is marked.
"""


def overview(result: BuildResult) -> None:
    """All files in one table."""
    original = next((artifact for artifact in result.artifacts if artifact.format == ORIGINAL.key), None)
    rows = pd.DataFrame([row(artifact, original) for artifact in result.artifacts])
    st.dataframe(
        rows.dropna(axis="columns", how="all"),
        hide_index=True,
        column_config={
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
            "Change": st.column_config.NumberColumn(format="%+.0f %%", help="Size against the original"),
            "Same top-1": st.column_config.TextColumn(
                help="On how many of the photographs it names the same class; either of two in a near tie counts"
            ),
            "Cosine": st.column_config.NumberColumn(
                format="%.5f", help="Smallest cosine similarity of the logits on any of the photographs"
            ),
            "Difference": st.column_config.NumberColumn(format="%.4f", help="The largest, of any logit"),
            "Delegated": st.column_config.NumberColumn(
                format="%.0f %%", help="Operators that the delegate computes, for files that have one"
            ),
        },
    )


def row(artifact: Artifact, original: Artifact | None) -> dict[str, object]:
    faithfulness = artifact.faithfulness
    return {
        "Format": FORMATS[artifact.format].title,
        "Size": artifact.bytes / 1e6,
        "Change": (artifact.bytes / original.bytes - 1) * 100 if original else None,
        "Same top-1": _same_top1(artifact),
        "Cosine": faithfulness.cosine,
        "Difference": faithfulness.max_abs_difference,
        "Delegated": artifact.delegation.percent if artifact.delegation else None,
        "Verdict": "DISAGREES" if artifact.disagrees else "as the original",
    }


def warn(result: BuildResult) -> None:
    titles = [FORMATS[artifact.format].title for artifact in result.artifacts if artifact.disagrees]
    if titles:
        st.error(
            f"**{', '.join(titles)}: not the original's answers.** Do not ship these files before you know why.",
            icon=":material/warning:",
        )


def card(stored: Stored, result: BuildResult) -> None:
    """One file: what the step did, its proof, its phones, its downloads."""
    artifact, line = stored.artifact, FORMATS[stored.artifact.format]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{line.title}** · {artifact.bytes / 1e6:.1f} MB", width="content")
            with st.container(horizontal=True, width="content"):
                st.link_button(
                    "File", links.artifact(stored), icon=":material/download:", help=text.plain(artifact.file)
                )
                st.link_button(
                    "Bundle",
                    links.bundle(stored),
                    icon=":material/folder_zip:",
                    help="A zip with the file, its labels and preprocessing, a test picture with the expected logits, "
                    "checksums, and code for an app",
                )
                with st.popover("QR code", icon=":material/qr_code_2:"):
                    links.draw_qr_code(links.artifact(stored))
        st.markdown(line.effect(result))
        if artifact.disagrees:
            st.error("**Its answers are not the original's.** Do not ship it before you know why.")
        with st.expander("Proof, and will it run on my phone?"):
            proof(artifact)
            phones(artifact)


def proof(artifact: Artifact) -> None:
    faithfulness, seconds = artifact.faithfulness, artifact.seconds
    st.markdown(
        f"Read back from disk and shown {faithfulness.pictures} photographs, one at a time: the original's class, or "
        f"one that it holds for as likely, on **{_same_top1(artifact)}**, {faithfulness.top5_overlap * 100:.0f} % of "
        "its top five, cosine similarity at "
        f"least {faithfulness.cosine:.5f}, no logit off by more than {faithfulness.max_abs_difference:.4f}. "
        f"The bound is a cosine of {FORMATS[artifact.format].least_cosine}, and the same class on "
        f"{verify.LEAST_TOP1_AGREEMENT * 100:.0f} % of them unless the weights are random."
    )
    if artifact.delegation:
        left = ", ".join(f"`{name}`" for name in artifact.delegation.undelegated) or "none"
        st.markdown(
            f"**{artifact.delegation.percent:.0f} % of the operators** are delegated; left to the runtime: {left}."
        )
    st.caption(
        f"Built and saved in {seconds.build:.2f} s, synced to disk in {seconds.sync:.2f} s, checked in "
        f"{seconds.check:.2f} s. SHA-256 `{artifact.sha256}`"
    )


def phones(artifact: Artifact) -> None:
    for runtime in FORMATS[artifact.format].runtimes:
        st.markdown(f"- **{runtime.name} {runtime.version}** ({runtime.places}): `{runtime.install}`")
    for finding in artifact.findings:
        icon = ":green[:material/check:]" if finding.holds else ":orange[:material/warning:]"
        st.markdown(f"- {icon} {text.plain(finding.text)}")


def failures(job: Job | None) -> None:
    """The formats that the last build of this request did not give, and why."""
    if job is None or job.result is None:
        return
    result: BuildResult = job.result
    for unbuilt in result.unbuilt:
        if unbuilt.is_available:
            st.error(f"**{FORMATS[unbuilt.format].title}** {_plain_reason(unbuilt)}", icon=":material/error:")


def preview(keys: list[str], model: str) -> None:
    """What a build will give, before there is one."""
    rows = [FORMATS[key] for key in keys]
    st.dataframe(
        pd.DataFrame(
            [{"Format": row.title, "What it is": row.summary, "File": row.filename(model)} for row in rows],
            columns=["Format", "What it is", "File"],
        ),
        hide_index=True,
    )


def choose_formats() -> tuple[str, ...]:
    reasons = {key: reason for key, reason in services.abilities().formats.items() if key != ORIGINAL.key}
    available = [key for key, reason in reasons.items() if reason is None]
    keys = st.pills(
        "Formats",
        available,
        selection_mode="multi",
        default=available,
        format_func=lambda key: FORMATS[key].title,
        key="formats",
        persist_state="session",
        help="What a format needs first is built with it.",
    )
    for key, reason in reasons.items():
        if reason is not None:
            st.caption(f":material/block: {FORMATS[key].title} is not available here. {text.plain(reason)}")
    return tuple(sorted(keys, key=available.index))


def choose_options() -> tuple[str, str]:
    left, right = st.columns(2)
    with left:
        engine = st.segmented_control(
            "Engine",
            services.abilities().engines,
            default=services.abilities().engines[0],
            required=True,
            format_func=ENGINES.__getitem__,
            key="engine",
            persist_state="session",
        )
    with right:
        optimize = st.segmented_control(
            "Optimize step",
            OPTIMIZE_CHOICES,
            default=OPTIMIZE_CHOICES[0],
            required=True,
            format_func=OPTIMIZE.__getitem__,
            key="optimize",
            persist_state="session",
        )
    return engine, optimize


def _same_top1(artifact: Artifact) -> str:
    faithfulness = artifact.faithfulness
    return f"{round(faithfulness.top1_agreement * faithfulness.pictures)} of {faithfulness.pictures}"


def _plain_reason(unbuilt: Unbuilt) -> str:
    return f"gave no file: {text.plain(unbuilt.reason)}"


def build() -> None:
    chosen = picker.choice()
    keys = choose_formats()
    engine, optimize = choose_options()
    request = BuildRequest(chosen.spec.reference, chosen.weights, keys, engine, optimize)
    task = Build(request)
    job = progress.follow(task)
    found = services.store().find(request) if keys else {}
    missing = [row.key for row in in_build_order(keys) if row.key not in found]
    if not progress.is_unfinished(job):
        failures(job)
        if not keys:
            st.info("Choose at least one format.", icon=":material/category:")
        elif missing:
            count = f"{len(missing)} {'file' if len(missing) == 1 else 'files'}"
            label = f"Build {count} of {text.plain(chosen.spec.title)}"
            if st.button(label, type="primary", icon=":material/build:", key="build"):
                progress.submit(task)
                st.rerun()
    if found:
        result = services.store().result(request)
        warn(result)
        overview(result)
        for stored in found.values():
            card(stored, result)
    if missing:
        preview(missing, chosen.spec.name)


st.title("Files for a phone")
st.markdown("Turn the model into the files an app can load, and see what each step did to size and answers.")
with notices.errors_shown():
    build()
notices.explain(WHAT)
