"""Text of unknown origin is escaped where Streamlit draws Markdown."""

from __future__ import annotations

import pytest

from pages.parts.text import JOINER, escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tabby, tabby cat 1.5 (x) - y!", "tabby, tabby cat 1.5 (x) - y!"),
        ("**b** _i_ `c` ~s~ a^b", r"\*\*b\*\* \_i\_ \`c\` \~s\~ a\^b"),
        ("[x](y) ![i](y) <b> &lt; $x$ a|b {c}", r"\[x\](y) !\[i\](y) \<b\> \&lt; \$x\$ a\|b \{c\}"),
        (r"C:\new", r"C\:\\new"),
        ("# h", r"\# h"),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("===", r"\==="),
        ("12. a", r"12\. a"),
        ("1) a", r"1\) a"),
        ("a\n\n    # b\r\nc", r"a \# b c"),
        (":red[a]", r"\:red\[a\]"),
        (":cat: :+1:", rf"\:{JOINER}cat\: \:{JOINER}+1\:"),
        (":material/home: :material/x", rf"\:{JOINER}material/home\: \:{JOINER}material/x"),
        ("http://a.b HTTPS://a.b", rf"http\:{JOINER}//a.b HTTPS\:{JOINER}//a.b"),
        ("www.a.b a@b.c", f"www{JOINER}.a.b a@{JOINER}b.c"),
        ("-> a <-> -- b", rf"\-{JOINER}\> a \<{JOINER}-\> -{JOINER}- b"),
        ("a >= b --labels x->y", rf"a \>{JOINER}= b --labels x-\>y"),
        ("at 12:30, tcp port:8786", r"at 12\:30, tcp port\:8786"),
    ],
)
def test_it_is_shown_as_it_is(text: str, shown: str) -> None:
    assert escaped(text) == shown
