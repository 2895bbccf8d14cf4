"""The code that Build shows for the tutorial's steps is the code that runs."""

from __future__ import annotations

import inspect

import pytest

from deploy_core.formats import FORMATS
from deploy_core.formats.torchscript import conversion
from deploy_core.profile.verdict import tables
from pages.built import tutorial
from pages.built.tutorial import TutorialStep
from tests.pages.harness import open_page


@pytest.mark.parametrize("step", tutorial.STEPS, ids=lambda step: step.format)
def test_ours_is_the_code_that_runs(step: TutorialStep) -> None:
    source = " ".join(inspect.getsource(conversion).split())
    for line in step.ours.splitlines():
        assert line.strip() in source


def test_every_file_of_the_tutorial_has_its_step() -> None:
    assert [step.format for step in tutorial.STEPS] == [line.format for line in tables.TUTORIAL[1:]]
    assert all(step.format in FORMATS for step in tutorial.STEPS)


@pytest.mark.usefixtures("home")
def test_build_shows_both() -> None:
    shown = [block.value for block in open_page("build").code]
    for step in tutorial.STEPS:
        assert step.theirs in shown
        assert step.ours in shown
