"""What this host offers, and what fits into its memory. Work that does not fit is refused before it starts.

The figures are peaks of a new worker process on Linux (``python -m benchmarks.memory``), rounded up. The largest part
is libraries, whose memory pages all processes share.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy_core.errors import InvalidRequest
from deploy_core.formats import FORMATS, ORIGINAL, Format
from deploy_core.models import catalogue
from deploy_core.models.spec import BYTES_PER_WEIGHT, ModelSpec
from deploy_core.settings import PREFIX, Settings

# Python with torch and timm, without a model.
TORCH_BYTES = 720_000_000
# The other processes of the app, besides the one that computes.
OTHERS_BYTES = 350_000_000
# A model that answers, and a checkpoint that becomes a model file, in copies of the weights.
CLASSIFYING_COPIES = 2.0
READING_COPIES = 4.0
# Matrices of tokens by tokens that exist at the same time, besides one for each head.
ATTENTION_COPIES = 4
# Memory that each further group of formats does not free, in copies of the weights.
LEFT_COPIES = 0.8
# The original and a file that are compared in a second process.
CHECKING_COPIES = 3.0
# For the controllers in a line of /proc/self/cgroup: the folder of the groups, and the file with a group's limit.
CGROUPS = {"": ("sys/fs/cgroup", "memory.max"), "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes")}


def offered_models(settings: Settings) -> tuple[str, ...]:
    """The models of the catalogue that this host offers. Raises InvalidRequest if a setting names an unknown one."""
    names = _listed("models", settings.models, catalogue.MODELS)
    return tuple(name for name in names if catalogue.MODELS[name].parameters <= settings.largest_parameters)


def offered_formats(settings: Settings) -> tuple[str, ...]:
    """The formats that this host offers; the original is always one of them. Raises as ``offered_models``."""
    named = _listed("formats", settings.formats, FORMATS)
    return tuple(key for key in FORMATS if key in named or key == ORIGINAL.key)


def require_model(spec: ModelSpec, settings: Settings) -> None:
    """Raises InvalidRequest if this host does not offer the model, or if the model does not fit into its memory."""
    if spec.file is None and spec.name not in offered_models(settings):
        raise InvalidRequest(
            f"{spec.title} is not offered on this host.", f"Choose one of: {', '.join(offered_models(settings))}."
        )
    _require(spec.title, _classifying(spec), settings, _smaller(spec, settings))


def require_build(spec: ModelSpec, asked: Iterable[str], rows: Sequence[Format], settings: Settings) -> None:
    """Raises InvalidRequest if this host does not offer the formats, or if the build does not fit into its memory.

    ``rows`` are those of the formats ``asked`` for, and of the formats that these need.
    """
    refused = [FORMATS[key].title for key in asked if key not in offered_formats(settings)]
    if refused:
        titles = ", ".join(FORMATS[key].title for key in offered_formats(settings))
        raise InvalidRequest(f"{', '.join(refused)}: not offered on this host.", f"Choose from: {titles}.")
    fitting = [row.title for row in rows if _building(spec, [row]) <= available(settings)]
    remedy = f"Build fewer at once: {', '.join(fitting)} would fit." if fitting else _smaller(spec, settings)
    _require(f"Building {len(rows)} files of {spec.title}", _building(spec, rows), settings, remedy)


def fits_two(spec: ModelSpec, rows: Sequence[Format], settings: Settings) -> bool:
    """Whether a build of ``rows`` fits into memory together with a second process that checks its files."""
    checking = TORCH_BYTES + _libraries(rows) + CHECKING_COPIES * spec.parameters * BYTES_PER_WEIGHT + _attending(spec)
    return _building(spec, rows) + checking <= available(settings)


def cores(settings: Settings) -> int:
    """The threads of one build: the setting, OpenMP's own variable, or the cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return settings.cpu_threads or (int(given) if given.isdecimal() else usable_cpus())


def usable_cpus() -> int:
    """The processors that this process may use: fewer than the machine has in some containers."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_checkpoint(file_bytes: int, settings: Settings) -> None:
    """Raises InvalidRequest if this host has not enough memory to read a checkpoint of ``file_bytes``."""
    needed = int(TORCH_BYTES + OTHERS_BYTES + READING_COPIES * file_bytes)
    _require("Reading this checkpoint", needed, settings, "Give a smaller model.")


def available(settings: Settings, root: Path = Path("/")) -> int:
    """The bytes of memory that the app may use: the setting, or the smallest limit of machine and control groups."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return settings.memory_bytes or min([machine, *_group_limits(root)])


def _group_limits(root: Path) -> Iterator[int]:
    """The limits of the control groups of this process, from its own group up: systemd's, or a container's."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            folder, limit = CGROUPS.get(controllers, ("", ""))
            place = Path(group.lstrip("/"))
            for part in (place, *place.parents) if folder else ():
                # The file says "max" if there is no limit.
                with suppress(OSError, ValueError):
                    yield int((root / folder / part / limit).read_text())


def _classifying(spec: ModelSpec) -> int:
    weights = CLASSIFYING_COPIES * spec.parameters * BYTES_PER_WEIGHT
    return int(TORCH_BYTES + OTHERS_BYTES + weights + _attending(spec))


def _attending(spec: ModelSpec) -> int:
    """Attention matrices. The catalogue's models have so few tokens that the copies of their weights cover them."""
    shape = spec.architecture
    return shape.tokens**2 * BYTES_PER_WEIGHT * (shape.heads + ATTENTION_COPIES) if shape else 0


def _building(spec: ModelSpec, rows: Iterable[Format]) -> int:
    """Libraries stay in memory; copies of the weights are freed after each format, except for ``LEFT_COPIES``.

    Packages that all belong to a larger set of the same build are in memory once.
    """
    rows = list(rows)
    copies = max(row.copies for row in rows) + LEFT_COPIES * (len({frozenset(row.packages) for row in rows}) - 1)
    weights = copies * spec.parameters * BYTES_PER_WEIGHT
    return int(TORCH_BYTES + OTHERS_BYTES + _libraries(rows) + weights + _attending(spec))


def _libraries(rows: Iterable[Format]) -> int:
    libraries = {frozenset(row.packages): row.library_bytes for row in rows}
    return sum(size for packages, size in libraries.items() if not any(packages < other for other in libraries))


def _smaller(spec: ModelSpec, settings: Settings) -> str:
    most = min(available(settings), _classifying(spec) - 1)
    offered = [catalogue.MODELS[name] for name in offered_models(settings)]
    fitting = [smaller for smaller in offered if _classifying(smaller) <= most]
    if fitting:
        return f"{max(fitting, key=lambda smaller: smaller.parameters).title} would fit."
    return f"Give the app more memory, or raise {PREFIX}MEMORY_BYTES."


def _require(what: str, needed: int, settings: Settings, remedy: str) -> None:
    limit = available(settings)
    if needed > limit:
        raise InvalidRequest(
            f"{what} needs about {needed / 1e9:.1f} GB of memory, and this host has {limit / 1e9:.1f} GB.", remedy
        )


def _listed(name: str, text: str, known: Mapping[str, object]) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for unknown in (part for part in names if part not in known):
        raise InvalidRequest(
            f"The setting {PREFIX}{name.upper()} names '{unknown}', which is not one of the {name}.",
            f"Choose from: {', '.join(known)}.",
        )
    return names or tuple(known)
