"""Text for people: durations, and text of unknown origin made safe for Markdown."""

from __future__ import annotations

import re

# Characters with a meaning in Markdown or in Streamlit's directives: anywhere in a line, and at its start.
MARKS = re.compile(r"[\\`*_{}\[\]<>#|$~:&^]")
BLOCK_START = re.compile(r"^(\d*)([-+=.)])")
# Even from text with escaped marks, Streamlit makes icons, emoji, links and arrows: from ``:cat:``, ``https://``,
# ``www.``, e-mail addresses, and words such as ``->``. An invisible word joiner inside each prevents that.
JOINER = "\N{WORD JOINER}"
MADE_OF_TEXT = re.compile(
    r"(?<=:)(?=[-+\w\\]+:|//|material/)|(?<=www)(?=\.)|(?<=@)(?=\\?[-\w])|(?<=(?<!\S)[-<>~])(?=[-=\\>]+(?!\S))"
    r"|(?<=(?<!\S)\\[-<>~])(?=[-=\\>]+(?!\S))",
    re.IGNORECASE,
)


def duration(seconds: float) -> str:
    """A duration such as ``8 s`` or ``2 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def escaped(text: str) -> str:
    """Escapes text of unknown origin, such as a file name, so that Markdown shows it literally, in one line."""
    line = MARKS.sub(r"\\\g<0>", " ".join(text.split()))
    return MADE_OF_TEXT.sub(JOINER, BLOCK_START.sub(r"\1\\\2", line))
