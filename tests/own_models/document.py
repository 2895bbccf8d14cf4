"""``python -m tests.own_models.document`` writes docs/own-models.md from the corpus."""

from __future__ import annotations

from collections.abc import Sequence

from docs.generate import DOCS
from tests.own_models.corpus import CASES, Case

PATH = DOCS / "own-models.md"
HEAD = """# Checkpoints that are taken

`import` and the page read a file, a folder, a zip of one, or a repository on the Hub by what is in it, not by its name.
Each line is a checkpoint that the tests make with the library itself: small, with random weights. *Taken*: its logits
are the library's within 0.00001, and labels and preprocessing are what the library would use. *Refused*: with a
sentence that names the cause.

`config.json` (timm, transformers) and `preprocessor_config.json` are read where they lie beside the weights. What
nothing tells is **assumed**: normalization, how pictures are framed, what the head reads, and the number of heads (one
for 64 of width). `import` and the page show what is assumed, with the likely alternatives. If a file holds averaged
weights (`ema`) beside the last ones, the averaged ones are taken, as in timm; `--weights-key` chooses.

This page is generated: `python -m tests.own_models.document`.

| from | checkpoint | what happens |
| --- | --- | --- |
"""


def text(cases: Sequence[Case]) -> str:
    return HEAD + "".join(f"| {case.group} | {case.title} | {_happens(case)} |\n" for case in cases)


def _happens(case: Case) -> str:
    words = case.refused.replace("\\", "")
    return f"refused: … {words} …" if words else "taken"


if __name__ == "__main__":
    PATH.write_text(text(CASES))
