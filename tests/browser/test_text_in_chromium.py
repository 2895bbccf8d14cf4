"""Text of unknown origin, as a browser shows what Streamlit makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pages.parts.text import JOINER
from tests.browser.app import DESKTOP, serving

TEXTS = (
    "**b** _i_ `c` ~~s~~ a^b [^1] [x](http://evil.test) ![i](http://evil.test/i.png) <b>b</b> <!-- c --> &lt; &#58;",
    ":red[boo] :material/home: :material_home: :streamlit: :cat: :+1: :100: :_a_: :blue-badge[x] :small[x] $x$ $$y$$",
    "http://evil.test https://evil.test/a?b=c#d www.evil.test WWW.EVIL.TEST a@evil.test mailto:a@evil.test",
    "<http://evil.test> xmpp:a@b.c/d ftp://evil.test",
    "-> a <- b <-> c -- d >= e <= f ~= g a->b --labels",
    "- a", "* a", "+ a", "1. a", "1) a", "# a", "> a", "=== a", "---", "===", "| a | b |", "~~~ a", "[x]: http://evil.test",
    ":::note", "::leaf", "C:\\new\\*a", "->", "- [ ] a",
)  # fmt: skip
SCRIPT = """
import streamlit as st
from pages.parts.text import escaped
from tests.browser.test_text_in_chromium import TEXTS
for place, text in enumerate(TEXTS):
    with st.container(key=f"markdown-{place}"):
        st.markdown(f"before **{escaped(text)}**")
        st.markdown(escaped(text))
    with st.container(key=f"label-{place}"):
        st.button(escaped(text), key=f"button-{place}")
"""


@pytest.mark.only_at(DESKTOP)
def test_it_is_shown_as_it_is(page: Page, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with serving(tmp_path, script) as app:
        page.goto(app.address)
        for place, text in enumerate(TEXTS):
            drawn = page.locator(f".st-key-markdown-{place}")
            label = page.locator(f".st-key-label-{place} p")
            # The page is drawn piece by piece, and the label comes last.
            expect(label).to_have_count(1)
            expect(drawn.locator("p")).to_have_count(2)
            assert [shown.replace(JOINER, "") for shown in drawn.locator("p").all_inner_texts()] == [
                f"before {text}",
                text,
            ]
            assert not drawn.locator("a, img, code, em, del, span[role=img], .katex").count()
            assert label.inner_text().replace(JOINER, "") == text
