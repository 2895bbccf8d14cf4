"""How long a profile takes: what its button promises, what it keeps to, and the shares of its progress.

The seconds are of two shared cores of a Xeon at 2.5 GHz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy_core.formats import Format
from deploy_core.models.spec import ModelSpec
from deploy_core.profile.record.record import Record

# What a profile may take beyond the time for measuring, for up to nine files of DeiT-Tiny. What the rest takes more
# comes out of the rounds, which keep at least ``LEAST_SHARE`` of their time, and then out of the batches.
EXTRA_SECONDS, EXTRA_FILES, TINY_SECONDS = 30.0, 9, 0.02
LEAST_SHARE = 0.5
# Each further thread count takes this much of the time of the first.
FURTHER_SHARE = 0.25
# A process imports torch and the code of the model; it reads a file; a new process for one file, two of them at once.
START_SECONDS, READ_SECONDS, NEW_SECONDS = 4.0, 0.3, 1.5
# The inferences of a file alone: the first answers, those under the profiler, which slows them, and those in batches.
CALLS, BATCH_CALLS = 20, 60
# A forward pass of the original takes this many seconds for each parameter and token; all files on average take less.
SECONDS_OF_A_PRODUCT = 2.4e-11
MEAN_SHARE = 0.7
PATCH = 16
# Building takes this much for each unit of a format's effort, and every file answers the pictures of the proof.
EFFORT_SECONDS, CHECKED_PICTURES = 2.0, 200


# A past run corrects the plan by at most these factors: the machine may have been busy in another way.
LEAST_PACE, MOST_PACE = 0.5, 4.0


@dataclass(frozen=True)
class Plan:
    """The seconds of each part of a profile, in order."""

    loading: float
    rounds: float
    further: float
    alone: float

    @property
    def total(self) -> float:
        return self.loading + self.rounds + self.further + self.alone


def inference_seconds(spec: ModelSpec) -> float:
    """About how long one inference takes here, over all files of a model."""
    tokens = spec.architecture.tokens if spec.architecture else (spec.input_size // PATCH) ** 2 + 1
    return spec.parameters * tokens * SECONDS_OF_A_PRODUCT * MEAN_SHARE


def building_seconds(missing: Sequence[Format], inference: float) -> float:
    """About how long building and checking these files takes."""
    return sum(row.effort * EFFORT_SECONDS + CHECKED_PICTURES * inference for row in missing)


def loading_seconds(files: int) -> float:
    """About how long a process takes that imports the runtimes and reads the files."""
    return START_SECONDS + files * READ_SECONDS


def plan(files: int, inference: float, seconds: float, thread_counts: int, is_latency_only: bool) -> Plan:
    """The plan for ``files`` files of ``inference`` seconds each, with ``seconds`` for measuring.

    ``thread_counts`` is how many thread counts are measured.
    """
    loading, reloading = loading_seconds(files), (thread_counts - 1) * files * READ_SECONDS
    least = 0.0 if is_latency_only else files * (NEW_SECONDS + READ_SECONDS + CALLS * inference)
    batches = 0.0 if is_latency_only else files * BATCH_CALLS * inference
    extra = EXTRA_SECONDS * max(1.0, files / EXTRA_FILES)
    extra += files * (CALLS + BATCH_CALLS) * max(0.0, inference - TINY_SECONDS)
    over = max(0.0, loading + reloading + least + batches - extra)
    measuring = max(seconds * LEAST_SHARE, seconds - over)
    left = seconds + extra - loading - reloading - measuring - least
    first = measuring / (1 + FURTHER_SHARE * (thread_counts - 1))
    return Plan(loading, first, reloading + measuring - first, least + min(batches, max(0.0, left)))


def pace_of(past: Record, inference: float) -> float:
    """How long a past run took, as a multiple of its plan; 1 where that is not known."""
    if past.took_seconds is None or past.budget_seconds is None:
        return 1.0
    counts = max(1, *(len(row.scaling) for row in past.rows))
    planned = plan(len(past.rows), inference, past.budget_seconds, counts, not past.visits)
    return min(MOST_PACE, max(LEAST_PACE, past.took_seconds / planned.total))
