"""The verdict on a file, from the differences between its answers and the original's (docs/decisions/0009-proof.md).

"Changes answers" is decided by a sequential test of the rate of decided flips: other first answers where the original
was not undecided. Source: Wald, "Sequential Tests of Statistical Hypotheses", 1945.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from deploy_core.inference.differences import Difference
from deploy_core.types import Verdict

# The original is undecided between two answers if their logits are nearer: the odds are then below 56 to 44.
NEAR_TIE = 0.25
# The test tells a rate of decided flips of at most LOW from one of at least HIGH; it errs in RISK of the cases.
LOW, HIGH, RISK = 0.0025, 0.02, 0.03
DECIDED = math.log((1 - RISK) / RISK)
# Answers are the same if none flips, and if moves reach at most this share of the original's margins.
MOST_WITHIN_REACH = 0.01
# A file that moves every margin by less than this share of the smallest one cannot flip an answer soon.
SAFE_SHARE = 0.1
# Fewer pictures do not show whether the original gives the same answer to everything.
FEWEST_PICTURES = 8
# At the latest here the test ends, with the nearer of the two rates.
MOST_PICTURES = 512

RANDOM = "Random weights: their answers mean nothing, so there is no verdict on labels."
CONSTANT = "The original gives the same answer to every picture, so flipped labels show nothing. Check its weights."
ONE_CLASS = "All pictures are of one class, so they show little about the others. Add pictures of other classes."
TOO_FEW = "These pictures are too few for a verdict: about 200 are needed."


@dataclass(frozen=True)
class Judgement:
    """``verdict`` is None where there is none; ``reason`` then says why. More pictures could settle an open one."""

    verdict: Verdict | None
    reason: str = ""
    is_open: bool = False


def judge(found: Sequence[Difference], weights: str) -> Judgement:
    """The verdict on the pictures so far. ``weights`` is a build's: random ones get none."""
    if weights == "random":
        return Judgement(None, RANDOM)
    if len(found) < FEWEST_PICTURES:
        return Judgement(None, TOO_FEW, is_open=True)
    if len({one.original for one in found}) == 1:
        return Judgement(None, CONSTANT)
    evidence = evidence_of_change(decided_flips(found), len(found))
    is_over = abs(evidence) >= DECIDED or len(found) >= MOST_PICTURES
    if is_over and evidence > 0:
        return Judgement(Verdict.CHANGES)
    if not any(one.is_flipped for one in found) and (_cannot_flip(found) or (is_over and _hardly_moves(found))):
        return Judgement(Verdict.SAME)
    return Judgement(Verdict.UNDECIDED) if is_over else Judgement(None, TOO_FEW, is_open=True)


def evidence_of_change(decided: int, pictures: int) -> float:
    """The logarithm of the likelihood ratio of the rates HIGH and LOW, for so many decided flips."""
    return decided * math.log(HIGH / LOW) + (pictures - decided) * math.log((1 - HIGH) / (1 - LOW))


def decided_flips(found: Sequence[Difference]) -> int:
    """The pictures with another first answer, where the original was not undecided between the two."""
    return sum(one.is_flipped and one.behind >= NEAR_TIE for one in found)


def within_reach(found: Sequence[Difference]) -> float:
    """The share of the original's margins that are smaller than the 95th percentile of the moves."""
    reach = percentile_95([one.move for one in found])
    return sum(one.margin < reach for one in found) / len(found)


def percentile_95(values: Sequence[float]) -> float:
    """The 95th percentile, interpolated; of one value, that value."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def _hardly_moves(found: Sequence[Difference]) -> bool:
    return within_reach(found) <= MOST_WITHIN_REACH


def _cannot_flip(found: Sequence[Difference]) -> bool:
    return max(one.move for one in found) < SAFE_SHARE * min(one.margin for one in found)
