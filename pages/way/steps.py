"""STEPS: the pages in the order in which a model goes through them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A page of the way.

    ``file`` is its script and ``address`` its place in the address bar. ``invitation`` says, on the page before it,
    what the visitor gets there.
    """

    title: str
    file: str
    address: str
    icon: str
    invitation: str


CLASSIFY = Step("Classify", "classify_picture.py", "", "image_search", "Try the model on a picture")
BUILD = Step("Build", "build_files.py", "build", "deployed_code", "Get the file for Android, iOS, the web or a server")
CHECK = Step("Check", "evaluate_files.py", "evaluate", "fact_check", "Count what each file gets right")
PROFILE = Step("Profile", "profile_files.py", "profile", "speed", "See which file is the fastest, and by how much")
DEVICE = Step("Device", "on_your_device.py", "device", "smartphone", "Time the model on your own phone")

STEPS = (CLASSIFY, BUILD, CHECK, PROFILE, DEVICE)


def after(step: Step) -> Step:
    """The next step. After the last one, Build, where the file to ship is."""
    number = STEPS.index(step) + 1
    return STEPS[number] if number < len(STEPS) else BUILD
