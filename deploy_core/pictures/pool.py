"""What a stranger's picture is to a model and to a page, from processes that may die of it.

A picture that crashes its process, or takes too long, costs nothing but that process, which is replaced. No other
process of the app ever decodes what a visitor brings (docs/decisions/0016-pictures-apart.md).
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import queue
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from deploy_core.errors import InvalidPicture, JobFailed, QueueFull, TookTooLong
from deploy_core.pictures.decode import too_large
from deploy_core.pictures.requests import DrawLooks, Prepare, Show
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import Answer, Task
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing

log = logging.getLogger(__name__)

# So many pictures are read at once, so that several do not wait behind one slow one.
AT_ONCE = 4
WAIT_SECONDS = 60.0
# A picture that takes longer than any usual one gives way to other visitors' answers.
SLOW_SECONDS = 1.0
SLOW_NICENESS = 8
# The one that is used first stays as long as other processes; the others are for crowds.
SPARE_IDLE_SECONDS = 30.0
MODULE = "deploy_core.pictures.decoder"


@dataclass(frozen=True)
class Prepared:
    """A picture as a model's input: float32 (1, 3, S, S), little-endian; and the milliseconds that it took."""

    input: bytes = field(repr=False)
    read: float
    preprocess: float


@dataclass(frozen=True)
class Looks:
    """Three JPEGs, and the width and height of the whole picture in the first."""

    framed: bytes = field(repr=False)
    given: bytes = field(repr=False)
    heat: bytes = field(repr=False)
    size: tuple[int, int]


class Decoders:
    """``at_once`` processes that read pictures, each started when it is needed. Safe to share between threads.

    Every method takes the bytes of a picture file. Each raises InvalidPicture where they are no picture of the known
    formats, exceed the settings' limits, or crash the process that reads them; QueueFull where too many wait.
    """

    def __init__(self, settings: Settings, at_once: int = AT_ONCE) -> None:
        self.at_once, self._settings = at_once, settings
        with tempfile.TemporaryFile() as file:
            large = os.dup(file.fileno())
        weakref.finalize(self, os.close, large)
        brief = replace(settings, idle_seconds=min(settings.idle_seconds, SPARE_IDLE_SECONDS))
        self._all = tuple(
            WorkerProcess("process that reads pictures", idle, module=MODULE, is_bare=True, descriptors=[large])
            for idle in [settings, *[brief] * (at_once - 1)]
        )
        # By their numbers, the lowest first: it is warm, and the others may be let go.
        self._free: queue.PriorityQueue[tuple[int, WorkerProcess]] = queue.PriorityQueue()
        for numbered in enumerate(self._all):
            self._free.put(numbered)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the processes that there are now."""
        return tuple(pid for decoder in self._all if (pid := decoder.process_id) is not None)

    @property
    def are_stuck(self) -> bool:
        """Whether there are processes, and none of them does anything."""
        running = [decoder for decoder in self._all if decoder.process_id is not None]
        return bool(running) and all(decoder.is_stuck for decoder in running)

    def prepare(self, picture: bytes, how: Preprocessing, whole: bool = False) -> Prepared:
        """The model's input. ``whole``: no pixel of a large JPEG is skipped (docs/decisions/0013-pictures.md)."""
        answer = self._ask(Prepare(how, whole), picture)
        return Prepared(answer.blob, answer.value.read, answer.value.preprocess)

    def small(self, picture: bytes, side: int) -> bytes:
        """A JPEG of the picture, upright, no side above ``side`` pixels."""
        return self._shown(picture, side, is_square=False)

    def square(self, picture: bytes, side: int) -> bytes:
        """A JPEG of the middle square, ``side`` pixels wide."""
        return self._shown(picture, side, is_square=True)

    def looks(
        self, picture: bytes, how: Preprocessing, shares: Sequence[Sequence[float]], opacity: float, side: int
    ) -> Looks:
        """What the model is given, and where it looks: ``shares`` by rows of patches; ``opacity`` 0..1."""
        answer = self._ask(DrawLooks(how, tuple(map(tuple, shares)), opacity, side), picture)
        ends = itertools.accumulate(answer.value.lengths, initial=0)
        framed, given, heat = (answer.blob[start:end] for start, end in itertools.pairwise(ends))
        return Looks(framed, given, heat, answer.value.size)

    def end_if_stuck(self) -> None:
        """Ends processes that hang, so that the next picture finds a new one."""
        for decoder in self._all:
            decoder.end_if_stuck()

    def close(self) -> None:
        for decoder in self._all:
            decoder.close()

    def _shown(self, picture: bytes, side: int, is_square: bool) -> bytes:
        return self._ask(Show(side, is_square), picture).blob

    def _ask(self, task: Task[Answer], picture: bytes) -> Answer:
        # Checked first, so that nobody waits in line for a picture that is refused anyway.
        if len(picture) > self._settings.picture_bytes:
            raise too_large(self._settings)
        try:
            number, decoder = self._free.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise QueueFull("Too many pictures wait to be read now.", "Try again in a minute.") from None
        seconds = self._settings.picture_seconds
        is_slow = threading.Event()
        clock = threading.Timer(SLOW_SECONDS, _let_others_go_first, [decoder, is_slow])
        clock.start()
        try:
            result = decoder.submit(task, seconds, picture).result()
            if is_slow.is_set():
                decoder.close()
                decoder.start()
        except TookTooLong as error:
            decoder.start()
            raise InvalidPicture(
                f"Reading the picture takes longer than {seconds:g} seconds.",
                "Save it again as a plain JPEG or PNG, or give another one.",
            ) from error
        except JobFailed as error:
            log.warning("A picture ended the process that read it")
            decoder.start()
            raise InvalidPicture(
                "The program that reads pictures failed at this one.",
                "The picture is damaged: save it again, or give another one.",
            ) from error
        finally:
            clock.cancel()
            self._free.put((number, decoder))
        return result


def _let_others_go_first(decoder: WorkerProcess, is_slow: threading.Event) -> None:
    is_slow.set()
    decoder.give_way(SLOW_NICENESS)


@functools.cache
def shared(settings: Settings) -> Decoders:
    """Those of this process: for the command line, scripts, and the worker."""
    return Decoders(settings)
