"""The requests that the app's processes answer: ``worker.main`` most of them, ``worker.reader`` the last two.

``build.Build`` and the requests of ``profile`` are beside what answers them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy_core.inference.file_answers import DeviceQuestion, FileAnswer
from deploy_core.models.hub import HubName
from deploy_core.models.own.corrections import Corrections
from deploy_core.processes.task import Task
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.types import BuildRequest, ModelChoice, Prediction


@dataclass(frozen=True)
class Abilities:
    """What this installation can build.

    ``engines`` are the quantization engines, the one for phones first. ``formats`` gives for each format that is
    offered None, or the reason why it cannot be built.
    """

    engines: tuple[str, ...]
    formats: dict[str, str | None]


@dataclass(frozen=True)
class ListAbilities(Task[Abilities]):
    kind = "abilities"
    answer = Abilities


@dataclass(frozen=True)
class Evaluate(Task[None]):
    """Builds what is missing and evaluates it on the labelled pictures at the path ``pictures``.

    ``name`` is what the visitor calls the pictures. ``skip_unknown`` leaves out folders that are named after no class
    of the model.
    """

    build: BuildRequest
    pictures: str
    name: str
    skip_unknown: bool = False
    kind = "evaluate"
    answer = None


@dataclass(frozen=True)
class Download(Task[None]):
    """Downloads a catalogue model's weights from the Hub."""

    model: str
    kind = "download"
    answer = None


@dataclass(frozen=True)
class Classify(Task[Prediction]):
    """The prepared picture comes as bytes; ``read`` and ``preprocess`` are the milliseconds spent on it so far.

    ``name`` is what the prediction calls the picture; ``top`` is how many classes it names, None for the default.
    """

    model: ModelChoice
    name: str
    top: int | None
    read: float
    preprocess: float
    kind = "classify"
    answer = Prediction


@dataclass(frozen=True)
class Seen:
    """The answer to a picture, and where the model looked for it, as rows of patches (``attention.followed``).

    ``attention`` is None for a family that does not show it.
    """

    prediction: Prediction
    attention: list[list[float]] | None


@dataclass(frozen=True)
class Look(Task[Seen]):
    """What ``question`` asks, and where the model looks, of the same inference."""

    question: Classify
    kind = "look"
    answer = Seen


@dataclass(frozen=True)
class CompareFile(Task[FileAnswer]):
    """What the stored file at ``key`` answers to the prepared picture, compared with the original."""

    model: ModelChoice
    key: str
    kind = "file_answer"
    answer = FileAnswer


@dataclass(frozen=True)
class AskFile(Task[DeviceQuestion]):
    """The input and the answer of the stored file at ``key`` for the prepared picture."""

    model: ModelChoice
    key: str
    kind = "device_question"
    answer = DeviceQuestion


@dataclass(frozen=True)
class Fetch(Task[str]):
    """Downloads a visitor's model from the Hub and makes a model file of it. Gives the model's reference."""

    source: HubName
    visitor: str
    corrections: Corrections
    kind = "fetch"
    answer = str


@dataclass(frozen=True)
class Forget(Task[None]):
    """Removes a visitor's models from memory."""

    owner: str
    kind = "forget"
    answer = None


@dataclass(frozen=True)
class TakenIn:
    """A model that was brought; ``reference`` is what ``load.find`` takes.

    ``part`` names which of the models in its file was read, ``others`` the rest of them, and ``left_out`` the tensors
    that belong to its training.
    """

    reference: str
    part: str
    others: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class TakeIn(Task[TakenIn]):
    """Makes a model file of an upload; ``name`` is what the visitor calls it.

    ``documents`` are the texts of the files that came with it, by their names.
    """

    upload: VisitorsFile
    name: str
    corrections: Corrections
    documents: dict[str, str] = field(default_factory=dict)
    kind = "take_in"
    answer = TakenIn


@dataclass(frozen=True)
class Correct(Task[str]):
    """Writes a model file again with the visitor's corrections. Gives the model's reference."""

    model: VisitorsFile
    corrections: Corrections
    kind = "correct"
    answer = str
