"""Checkpoints as people have them: each is read as its library reads it, or refused with the cause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from deploy_core.errors import DeployError
from deploy_core.models import load
from deploy_core.models.own import bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from tests.own_models import document
from tests.own_models.corpus import CASES, Case

NO_SLANDER = re.compile(r"damaged|code", re.IGNORECASE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.title}")
def test_a_checkpoint_answers_as_its_library_or_is_refused_with_the_cause(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = case.make(tmp_path)
    out = tmp_path / "out"
    if case.refused:
        with pytest.raises(DeployError, match=case.refused) as caught:
            bring.bring(made.path, out, Settings())
        assert case.group == "code" or not NO_SLANDER.search(caught.value.problem.replace("config", ""))
        assert not (tmp_path / "code_ran").exists()
        return
    spec = bring.bring(made.path, out, Settings(), Corrections(**made.options))
    assert made.answer
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        pictures = torch.randn(2, 3, spec.input_size, spec.input_size)
        expected = made.answer(pictures)
        found = load.load(spec.reference, "pretrained", Settings()).module(pictures)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    if made.labels is not None:
        assert spec.own_labels == made.labels
    for key, value in made.preprocessing.items():
        assert getattr(spec.preprocessing, key) == pytest.approx(value), key


def test_there_are_many() -> None:
    assert len({(case.group, case.title) for case in CASES}) == len(CASES) >= 60


def test_the_document_lists_them() -> None:
    assert document.PATH.read_text() == document.text(CASES)
