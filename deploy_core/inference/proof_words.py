"""A proof in words, the same on pages, on the command line and in a bundle's README."""

from __future__ import annotations

from deploy_core.formats import NOT_RUN
from deploy_core.inference.verdicts import NEAR_TIE
from deploy_core.shares import percent
from deploy_core.types import Artifact, PhoneProof, Proof, ReadBack, Verdict, WeightCheck

EXPLAINED = {
    Verdict.SAME: "No first answer changes, and the margins between answers hardly move.",
    Verdict.UNDECIDED: "Some first answers may change, but only where the original's first two are nearly tied.",
    Verdict.CHANGES: "First answers change where the original was decided. Do not ship the file before you know why.",
}

NONE_CHANGED = "None of these first answers changes; others may, where the original's first two are nearly tied."

NOT_RUN_EXPLAINED = (
    "No runtime on this machine runs it. Its weights were read back and an interpreter answered one photograph; run "
    "the bundle's test on the device."
)


def of_file(artifact: Artifact) -> str:
    """The verdict on a file in a few words, or that it does not run here."""
    return verdict(artifact.proof) if artifact.proof else NOT_RUN


def of_file_explained(artifact: Artifact) -> str:
    """What that means."""
    return verdict_explained(artifact.proof) if artifact.proof else NOT_RUN_EXPLAINED


def file_sentences(artifact: Artifact) -> tuple[str, ...]:
    """The figures of a file's proof, or what was read back, a sentence or two for each kind."""
    if artifact.proof:
        return sentences(artifact.proof)
    return read_back(artifact.read_back) if artifact.read_back else ()


def verdict(proof: Proof) -> str:
    """The verdict, or that there is none."""
    return proof.verdict.value if proof.verdict else "no verdict"


def verdict_explained(proof: Proof) -> str:
    """What the verdict means, or why there is none."""
    if proof.verdict is Verdict.UNDECIDED and not proof.flips:
        return NONE_CHANGED
    return EXPLAINED[proof.verdict] if proof.verdict else proof.no_verdict


def flips(proof: Proof) -> str:
    """``5 of 200 (2.5 %)``."""
    return f"{proof.flips} of {proof.pictures} ({percent(proof.flips / proof.pictures, 1)})"


def sentences(proof: Proof) -> tuple[str, ...]:
    """The figures of a proof, a sentence or two for each kind."""
    low, high = proof.flip_interval
    return (
        f"On {flips(proof)} pictures the first answer is another one, under {proof.engine}; the 95 % interval is "
        f"{percent(low, 1)} to {percent(high, 1)}. On {proof.decided_flips} of them the original was decided: its own "
        f"first answer was ahead by a logit of {NEAR_TIE} or more.",
        f"The margin between the original's first two answers moves by {proof.move_median:.3f} (median) and "
        f"{proof.move_p95:.3f} (95th percentile). The margin itself is {proof.margin_median:.2f} (median), and "
        f"below that 95th percentile on {percent(proof.within_reach, 1)} of the pictures.",
        f"{percent(proof.top5_overlap, 1)} of the first five answers are the same. The cosine of the logits is at "
        f"least {proof.cosine:.6f}, and no logit is off by more than {proof.max_abs_difference:.4f}.",
        *([on_phone(proof.phone)] if proof.phone else []),
    )


def read_back(found: ReadBack) -> tuple[str, ...]:
    """What was checked of a file that does not run here."""
    operators = ", ".join(f"{count} {name}" for name, count in found.operators.items())
    answer = "another first answer than" if found.is_flipped else "the first answer of"
    return (
        f"Read back from the file: {operators}.",
        _weights(found.weights),
        f"To the photograph {found.picture}, an interpreter gives {answer} the original. The cosine of the logits is "
        f"{found.cosine:.6f}, and no logit is off by more than {found.max_abs_difference:.4f}.",
        found.not_run,
    )


def _weights(check: WeightCheck) -> str:
    text = (
        f"{check.tensors} tensors with {check.values:,} weights were compared with the original's: the largest "
        f"distance is {check.largest_error:.2f} of what rounding explains."
    )
    if check.folded:
        text += f" {len(check.folded)} are computed into others: {', '.join(check.folded)}."
    return text if check.holds else f"{text} They are not the original's."


def on_phone(proof: PhoneProof) -> str:
    """The figures under the engine of phones."""
    return (
        f"Under {proof.engine}, which computes as phones do, {proof.flips} of {proof.pictures} first answers are other "
        f"ones, the cosine to the original is at least {proof.cosine:.6f}, and no logit is off by more than "
        f"{proof.max_abs_difference:.4f}. Against this machine's own engine the cosine is at least "
        f"{proof.cosine_here:.6f}, and no logit differs by more than {proof.max_abs_difference_here:.4f}."
    )
