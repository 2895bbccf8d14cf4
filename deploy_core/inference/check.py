"""Checks a file that a build wrote: proves it or reads it back, and says what its answer to one picture is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from deploy_core.files import sha256
from deploy_core.formats import ORIGINAL, Format
from deploy_core.inference import proof, read_back
from deploy_core.inference.classify import Classifier
from deploy_core.inference.proof import Reference
from deploy_core.models.load import LoadedModel
from deploy_core.processes.task import WithBytes
from deploy_core.settings import Settings
from deploy_core.types import EngineAnswer, Finding, KnownAnswer, Proof, ReadBack, Verdict


@dataclass(frozen=True)
class Checked:
    """What checking a file gave: a proof, or what was read back; and the ``answers`` that its bundle states."""

    proof: Proof | None
    read_back: ReadBack | None
    disagrees: bool
    picture: str
    answers: tuple[EngineAnswer, ...]
    labels: tuple[str, ...]
    findings: tuple[Finding, ...]
    sha256: str
    seconds: float

    def known(self, data: bytes) -> KnownAnswer:
        """What is known of the first picture, whose input is ``data``."""
        return KnownAnswer(self.picture, data, self.answers, self.labels)


class Checker:
    """Compares files with ``model``, whose own answers it asks once for all of them."""

    def __init__(self, model: LoadedModel, settings: Settings) -> None:
        self._original = Classifier(model.spec, model.weights, model.labels, model.module)
        self._reference = Reference(self._original, settings)

    def check(self, row: Format, path: Path, share: float = 1.0) -> WithBytes[Checked]:
        """Checks a file of ``row``; the bytes are the first picture's input, float32 (1, 3, S, S), little-endian.

        ``share`` is that of the cores that it has: with fewer, a file gets more time. Raises InvalidArtifact.
        """
        started = time.perf_counter()
        proven, found, disagrees, answers = (self._prove if row.runs_here else self._read_back)(row, path, share)
        checked = Checked(
            proof=proven,
            read_back=found,
            disagrees=disagrees,
            picture=self._reference.views(1)[0].file,
            answers=tuple(answers),
            labels=self._original.labels,
            findings=row.inspect(path),
            sha256=sha256(path),
            seconds=time.perf_counter() - started,
        )
        return WithBytes(checked, self._reference.inputs(0, 1).numpy().astype("<f4").tobytes())

    def _prove(
        self, row: Format, path: Path, share: float
    ) -> tuple[Proof | None, ReadBack | None, bool, list[EngineAnswer]]:
        """The file is out of memory again afterwards."""

        def clock() -> float:
            return time.perf_counter() * share

        file = replace(self._original, run=row.load(path))
        proven = proof.prove(file, row, self._reference, clock)
        answers = [EngineAnswer(proven.engine, tuple(file.logits(self._reference.inputs(0, 1)).tolist()))]
        on_phone = proof.prove_as_on_phone(path, row, self._reference, file, clock)
        if on_phone:
            answers.insert(0, EngineAnswer(on_phone.proof.engine, tuple(on_phone.first_logits.tolist())))
            proven = replace(proven, phone=on_phone.proof)
        disagrees = proven.verdict is Verdict.CHANGES or proven.cosine < row.least_cosine
        return proven, None, disagrees, answers

    def _read_back(
        self,
        row: Format,
        path: Path,
        _: float,
    ) -> tuple[Proof | None, ReadBack | None, bool, list[EngineAnswer]]:
        """Of a file that does not run here. The answer that its bundle states is the original's."""
        assert row.read_back is not None  # noqa: S101
        checked = read_back.check(row.read_back, path, self._reference)
        found = checked.read_back
        disagrees = checked.changes_answer or found.cosine < row.least_cosine or not found.weights.holds
        answer = EngineAnswer(ORIGINAL.run_engine(), tuple(self._reference.logits(0, 1)[0].tolist()))
        return None, found, disagrees, [answer]
