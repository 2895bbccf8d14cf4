"""Build: the deployable files of a model, each proven against the original, ready to download."""

from __future__ import annotations

import streamlit as st

from deploy_core.build import Build
from deploy_core.formats import FORMATS, in_build_order
from deploy_core.processes.job import Job
from deploy_core.profile.words import counted
from deploy_core.types import BuildRequest, BuildResult
from pages.built import card, choose, overview
from pages.parts import notices, progress
from pages.parts.text import escaped
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
    keys = choose.formats()
    engine, optimize = choose.options()
    request = BuildRequest(chosen.spec.reference, chosen.weights, keys, engine, optimize)
    task = Build(request)
    job = progress.follow(task)
    built = services.store().find(request) if keys else {}
    missing = [row.key for row in in_build_order(keys) if row.key not in built]
    if not progress.is_unfinished(job):
        failures(job)
        if not keys:
            st.info("Choose at least one format.", icon=":material/category:")
        elif missing:
            label = f"Build {counted(len(missing), 'file')} of {escaped(chosen.spec.title)}"
            if st.button(label, type="primary", icon=":material/build:", key="build"):
                progress.submit(task)
                st.rerun()
    if built:
        result = services.store().result(request)
        overview.warn_of_disagreement(result)
        overview.table(result)
        for stored in built.values():
            card.draw(stored, result)
    if missing:
        overview.preview(missing, chosen.spec.name)


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


st.title("Files for a phone")
st.markdown("Turn the model into files that an app can load, and see what each step does to size and answers.")
with notices.errors_shown():
    build()
notices.explain(WHAT)
