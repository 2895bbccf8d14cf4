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
    examined: Examination,
    samples: tuple[float, ...],
    estimate: Estimate,
    scaling: Sequence[Scaling],
) -> Row:
    """``samples`` are the milliseconds of each round; ``estimate`` is computed from them."""
    import numpy as np

    known = FORMATS[artifact.format]
    assert artifact.proof is not None  # noqa: S101
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
        self_cpu_ms=sum(operator.self_ms for operator in examined.operators) if known.runs_in_torch else None,
        load_ms=examined.load_ms,
        first_ms=examined.first_ms,
        peak_bytes=examined.peak_bytes,
        runtime_bytes=examined.runtime_bytes,
        top1_agreement=artifact.proof.agreement,
        cosine=artifact.proof.cosine,
        disagrees=artifact.disagrees,
        throughput=examined.throughput,
        scaling=tuple(sorted(scaling, key=lambda point: point.threads)),
        operators=examined.operators,
        delegated_percent=artifact.delegation.percent if artifact.delegation else None,
        undelegated=artifact.delegation.undelegated if artifact.delegation else (),
        samples_ms=samples,
    )
