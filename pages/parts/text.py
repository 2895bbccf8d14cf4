"""Text as people read it."""

from __future__ import annotations

import re

# What Markdown and Streamlit's directives give a meaning to, wherever it stands; and at the start of a line.
MARKS = re.compile(r"[\\`*_{}\[\]<>#|$~:&^]")
BLOCK_START = re.compile(r"^(\d*)([-+=.)])")
# Streamlit makes icons, emoji, links and arrows of text whose marks are escaped already: of ``:cat:``, ``https://``,
# ``www.``, addresses of e-mail, and of ``->`` and the like alone. A word joiner, which nobody sees, keeps each apart.
JOINER = "\N{WORD JOINER}"
MADE_OF_TEXT = re.compile(
    r"(?<=:)(?=[-+\w\\]+:|//|material/)|(?<=www)(?=\.)|(?<=@)(?=\\?[-\w])|(?<=(?<!\S)[-<>~])(?=[-=\\>]+(?!\S))"
    r"|(?<=(?<!\S)\\[-<>~])(?=[-=\\>]+(?!\S))",
    re.IGNORECASE,
)


def duration(seconds: float) -> str:
    """A time as people say it: ``8 s``, ``2 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plain(text: str) -> str:
    """Text of unknown origin, such as a file name, shown as it is and not as Markdown, in one line."""
    escaped = MARKS.sub(r"\\\g<0>", " ".join(text.split()))
    return MADE_OF_TEXT.sub(JOINER, BLOCK_START.sub(r"\1\\\2", escaped))
