"""Build: the deployable files of a model, each proven against the original, ready to download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from deploy_core.build import Build
from deploy_core.formats import FORMATS, in_build_order
from deploy_core.processes.job import Job
from deploy_core.profile.record.record import Record
from deploy_core.profile.words import counted
from deploy_core.storage.entry import Stored
from deploy_core.types import BuildRequest, BuildResult
from pages.built import choose, overview, rows, tutorial
from pages.built.card import Cards
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.runs import known
from pages.state import picker, services

FAMILIES = "\n".join(dict.fromkeys(f"- {row.family.about}" for row in FORMATS.values() if row.family.about))
WHAT = f"""
A phone app cannot run Python, so the model becomes a file that runs without it. These families of files do that:

{FAMILIES}

The **engine** is the int8 library that the TorchScript files are built for: `qnnpack` on phones. The tutorial's **int8
step** flips more answers than need be, and its **optimize step** makes DeiT slower. The default mends both.

The app reads each file back from disk. The file and the original answer the same photographs and parts of photographs,
at least 200 unless the model is slow. The verdict is one of three: *same answers*, *differs only where the original
itself is undecided* (its first two answers are nearly tied), or *changes answers*.
"""


def build() -> None:
    chosen = picker.choice()
    # The answer comes first, and the choices below it decide what it is.
    cards = st.container()
    st.header("All files")
    keys = choose.formats()
    engine, optimize = choose.options()
    request = BuildRequest(chosen.spec.reference, chosen.weights, keys, engine, optimize)
    job = progress.follow(Build(request))
    is_busy = progress.is_unfinished(job)
    built = services.store().find(request) if keys else {}
    missing = [row.key for row in in_build_order(keys) if row.key not in built]
    if not is_busy:
        failures(job)
        if not keys:
            st.info("Choose at least one format.", icon=":material/category:")
        elif missing:
            offer(request, missing, chosen.spec.title)
    if built:
        result = services.store().result(request)
        overview.warn_of_disagreement(result)
        rows.draw([*built.values()], result)
        with st.expander("All figures", icon=":material/table:"):
            overview.table(result)
    if missing:
        overview.preview(missing, chosen.spec.name)
    everything = replace(request, formats=choose.available())
    files = services.store().find(everything)
    with cards:
        Cards(everything, files, is_busy).draw(trusted_run(chosen, everything, files))


def trusted_run(chosen: picker.Choice, request: BuildRequest, built: Mapping[str, Stored]) -> Record | None:
    """The newest run of the model that nothing speaks against."""
    hashes = {key: stored.artifact.sha256 for key, stored in built.items()}
    return next((run for run in known.known(chosen, request) if not known.weaknesses(run, hashes)), None)


def offer(request: BuildRequest, missing: Sequence[str], title: str) -> None:
    """The button that builds what is missing, and why it is so much."""
    label = f"Build {counted(len(missing), 'file')} of {escaped(title)}"
    if st.button(label, type="primary", icon=":material/build:", key="build"):
        progress.submit(Build(request))
        st.rerun()
    here = len(in_build_order(request.formats)) - len(missing)
    st.caption(f"{choose.why(request.formats)}{f' Here already: {here}.' if here else ''}")


def failures(job: Job | None) -> None:
    """The formats that the last build of this request could not make, and why."""
    if job is None or job.result is None:
        return
    result: BuildResult = job.result
    for unbuilt in result.unbuilt:
        if unbuilt.is_available:
            st.error(
                f"**{FORMATS[unbuilt.format].title}** gave no file: {escaped(unbuilt.reason)}", icon=":material/error:"
            )


st.title("The file to ship")
with notices.errors_shown():
    build()
tutorial.draw()
notices.explain(WHAT)
