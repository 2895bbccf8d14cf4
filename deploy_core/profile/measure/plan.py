"""How long a profile takes: what its button promises, what it keeps to, and the shares of its progress.

The seconds are of DeiT-Tiny on two shared cores of a Xeon at 2.5 GHz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy_core.formats import Format
from deploy_core.models.spec import ModelSpec

# Beyond the time for measuring, for nine files of DeiT-Tiny. What the fixed part takes more comes out of the rounds.
EXTRA_SECONDS = 30.0
# The rounds keep at least this share of the time for measuring.
LEAST_SHARE = 0.5
# Each further thread count takes this much of the time of the first.
FURTHER_SHARE = 0.25
# A process imports torch and the code of the model; it reads a file; a new process for one file, two of them at once.
START_SECONDS, READ_SECONDS, NEW_SECONDS = 4.0, 0.3, 1.5
# The inferences of a file alone: the first answers, and those under the profiler, which slows them.
CALLS = 20
BATCH_SECONDS = 1.2
# A forward pass takes about this many seconds for each parameter and token. Int8 files take about half.
SECONDS_OF_A_PRODUCT = 2.4e-11
MEAN_SHARE = 0.7
PATCH = 16
# Building takes this much for each unit of a format's effort, and every file answers the pictures of the proof.
EFFORT_SECONDS, CHECKED_PICTURES = 2.0, 200


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
    alone = 0.0 if is_latency_only else files * (NEW_SECONDS + READ_SECONDS + CALLS * inference + BATCH_SECONDS)
    over = max(0.0, loading + reloading + alone - EXTRA_SECONDS)
    measuring = max(seconds * LEAST_SHARE, seconds - over)
    first = measuring / (1 + FURTHER_SHARE * (thread_counts - 1))
    return Plan(loading, first, reloading + measuring - first, alone)
