"""A proof for tests that need any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deploy_core.types import Proof, Verdict

SAME = Proof(
    pictures=200,
    engine="torch",
    flips=0,
    decided_flips=0,
    flip_interval=(0.0, 0.0188),
    margin_median=2.0,
    move_median=0.001,
    move_p95=0.002,
    within_reach=0.0,
    top5_overlap=1.0,
    cosine=0.999912,
    max_abs_difference=0.01,
    verdict=Verdict.SAME,
    no_verdict="",
    moved=(),
)


def proof(**changes: Any) -> Proof:
    return replace(SAME, **changes)
