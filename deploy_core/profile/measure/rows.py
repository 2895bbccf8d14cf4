"""Builds the row of a record from the measurements of one artifact."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Estimate, estimates
from deploy_core.profile.measure.alone import Examination
from deploy_core.profile.measure.rounds import Rounds
from deploy_core.profile.record.record import Row, Scaling
from deploy_core.types import Artifact


def points(threads: int, rounds: Rounds) -> dict[str, Scaling]:
    """The point of ``scaling`` of each format for this thread count."""
    return {
        key: Scaling(threads, estimate.median, estimate.median_interval, len(rounds.samples[key]))
        for key, estimate in estimates(rounds.samples).items()
    }


def row(
    artifact: Artifact,
    examined: Examination | None,
    samples: tuple[float, ...],
    estimate: Estimate,
    scaling: Sequence[Scaling],
) -> Row:
    """``samples`` are the milliseconds of each round; ``estimate`` is computed from them.

    ``examined`` is None where only the latency was measured.
    """
    import numpy as np

    known = FORMATS[artifact.format]
    assert artifact.proof is not None  # noqa: S101
    observed = examined.operators if examined else ()
    lower, upper, p95 = (float(value) for value in np.percentile(samples, (25, 75, 95)))
    return Row(
        format=artifact.format,
        file=artifact.file,
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        run_engine=known.run_engine(),
        median_ms=estimate.median,
        median_interval_ms=estimate.median_interval,
        p95_ms=p95,
        spread_ms=upper - lower,
        ratio=estimate.ratio,
        ratio_interval=estimate.ratio_interval,
        reduction_percent=(1 - estimate.ratio) * 100,
        self_cpu_ms=sum(operator.self_ms for operator in observed) if known.runs_in_torch and observed else None,
        load_ms=examined.load_ms if examined else None,
        first_ms=examined.first_ms if examined else None,
        peak_bytes=examined.peak_bytes if examined else None,
        runtime_bytes=examined.runtime_bytes if examined else None,
        top1_agreement=artifact.proof.agreement,
        cosine=artifact.proof.cosine,
        disagrees=artifact.disagrees,
        throughput=examined.throughput if examined else (),
        scaling=tuple(sorted(scaling, key=lambda point: point.threads)),
        operators=observed,
        delegated_percent=artifact.delegation.percent if artifact.delegation else None,
        undelegated=artifact.delegation.undelegated if artifact.delegation else (),
        samples_ms=samples,
    )
