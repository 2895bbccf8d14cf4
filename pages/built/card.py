"""A card for each place where the model can go: the file to ship there, its size, its proof and its downloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from deploy_core.build import Build
from deploy_core.formats import FORMATS, ORIGINAL, Format
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import shipping
from deploy_core.profile.verdict.shipping import Limits
from deploy_core.storage.entry import Stored
from deploy_core.types import BuildRequest
from pages.built import downloads, targets
from pages.built.targets import TARGETS, Target
from pages.parts import progress, proof
from pages.parts.text import escaped
from pages.way.steps import PROFILE

LEAST_PIXELS = 250


class Cards:
    """The cards of one model.

    ``everything`` asks for every format that can be built here, and ``built`` holds those that are. With ``is_busy``,
    another job builds files of this model, so the cards offer none.
    """

    def __init__(self, everything: BuildRequest, built: Mapping[str, Stored], is_busy: bool) -> None:
        self._everything, self._built, self._is_busy = everything, built, is_busy
        self._artifacts = {key: stored.artifact for key, stored in built.items()}
        # Whether a file is being built, by its format: two cards may recommend the same file.
        self._followed: dict[str, bool] = {}

    def draw(self, run: Record | None) -> None:
        """Draws the cards; ``run`` is a profile of the model."""
        with st.grid(len(TARGETS) + 1, min_column_width=LEAST_PIXELS, border=True):
            for target in TARGETS:
                with st.container(key=f"card_{target.key}"):
                    self._target(target)
            with st.container(key="card_server"):
                self._server(run)

    def _target(self, target: Target) -> None:
        st.header(target.title)
        row = targets.recommended(target, self._everything.formats, self._artifacts)
        if row is None:
            st.markdown("No file that can be built here runs there and answers like the original.")
            return
        self._file(target.key, row)
        if not row.runs_here:
            others = [key for key in self._everything.formats if FORMATS[key].runs_here]
            proven = targets.recommended(target, others, self._artifacts)
            notes = []
            if row.key not in self._built:
                notes.append("This server cannot run it. The bundle has a test for your device.")
            if proven:
                known = f"Proven here: {proven.title}, below." if proven.key in self._built else ""
                notes.append(known or f"This server can build and prove {proven.title}, too.")
            st.caption(" ".join(notes))

    def _server(self, run: Record | None) -> None:
        """On a server the fastest file is the one to ship, and only a profile knows it."""
        st.header("For this server")
        key = self._fastest(run) if run else None
        if run and key:
            self._file("server", FORMATS[key])
            st.caption(f"The fastest in the profile of {run.measured_at[:10]} on {escaped(run.host.cpu)}.")
        else:
            st.markdown("The fastest file is the one to ship, and only a profile knows which that is.")
        label = "See the profile" if key else "Measure the speed"
        st.page_link(PROFILE.file, label=label, icon=":material/speed:")

    def _fastest(self, run: Record) -> str | None:
        """Of the files that can be built here and that nobody should refuse."""
        offered = {*self._everything.formats, ORIGINAL.key}
        offered -= {key for key, artifact in self._artifacts.items() if targets.is_refused(artifact)}
        possible = replace(run, rows=tuple(row for row in run.rows if row.format in offered))
        return shipping.recommend(possible, shipping.TARGETS["server"], Limits()).format

    def _file(self, place: str, row: Format) -> None:
        stored = self._built.get(row.key)
        if stored is None:
            st.markdown(f"**{row.title}**  \n{row.summary}")
            self._build(place, row)
            return
        st.markdown(f"**{row.title}** · {downloads.size(stored.artifact, self._artifacts.get(ORIGINAL.key))}")
        proof.short(stored.artifact)
        downloads.draw(stored, is_main=True)

    def _build(self, place: str, row: Format) -> None:
        if self._is_busy or self._followed.get(row.key):
            st.caption("It is being built.")
            return
        asked = self._everything
        task = Build(BuildRequest(asked.model, asked.weights, (row.key,), asked.engine, asked.optimize))
        if row.key not in self._followed:
            self._followed[row.key] = progress.is_unfinished(progress.follow(task))
        if not self._followed[row.key] and st.button(
            "Build this file", icon=":material/build:", width="stretch", key=f"build_{place}"
        ):
            progress.submit(task)
            st.rerun()
