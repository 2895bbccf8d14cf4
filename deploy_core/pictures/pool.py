"""Reads visitors' pictures in processes of their own.

If a picture crashes its process or takes too long, only that process is lost, and it is replaced. No other process of
the app ever decodes a visitor's picture (docs/decisions/0016-pictures-apart.md).
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from deploy_core.errors import InvalidPicture, JobFailed, QueueFull, TookTooLong
from deploy_core.pictures.decode import too_large
from deploy_core.pictures.requests import DrawLooks, Prepare, Show
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import AnswerT, Task
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing

log = logging.getLogger(__name__)

# The pictures that are read at the same time, so that a slow one does not hold up the others.
AT_ONCE = 4
WAIT_SECONDS = 60.0
# A picture that needs more processor time than usual gets a lower priority, so that other visitors' answers come first.
# Processor time, because on a busy machine every picture takes long.
SLOW_CPU_SECONDS = 1.0
SLOW_NICENESS = 8
LOOK_SECONDS = 0.25
# The first process stays as long as other processes do; the spare ones end soon after a rush.
SPARE_IDLE_SECONDS = 30.0
MODULE = "deploy_core.pictures.decoder"


@dataclass(frozen=True)
class Prepared:
    """A picture as a model's input: float32 (1, 3, S, S), little-endian, and the milliseconds of each step."""

    input: bytes = field(repr=False)
    read: float
    preprocess: float


@dataclass(frozen=True)
class Looks:
    """Three JPEGs: the picture with the crop marked, the model's input, and the heat map.

    ``size`` is the width and height of the whole picture.
    """

    framed: bytes = field(repr=False)
    input: bytes = field(repr=False)
    heat: bytes = field(repr=False)
    size: tuple[int, int]


class Decoders:
    """``at_once`` processes that read pictures, each started when it is needed. Threads can share it.

    Each method takes the bytes of a picture file. It raises InvalidPicture if they are not a picture of a known
    format, exceed the limits in the settings, or crash the process that reads them, and QueueFull if too many
    pictures wait.
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
        # The lowest number first: that process is warm, and the others can end.
        self._free: queue.PriorityQueue[tuple[int, WorkerProcess]] = queue.PriorityQueue()
        for numbered in enumerate(self._all):
            self._free.put(numbered)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The ids of the processes that run now."""
        return tuple(pid for decoder in self._all if (pid := decoder.process_id) is not None)

    @property
    def are_stuck(self) -> bool:
        """Whether processes run, and all of them hang."""
        running = [decoder for decoder in self._all if decoder.process_id is not None]
        return bool(running) and all(decoder.is_stuck for decoder in running)

    def prepare(self, picture: bytes, how: Preprocessing, whole: bool = False) -> Prepared:
        """The model's input. ``whole`` decodes a large JPEG at its full size (docs/decisions/0013-pictures.md)."""
        answer = self._ask(Prepare(how, whole), picture)
        return Prepared(answer.blob, answer.value.read, answer.value.preprocess)

    def small(self, picture: bytes, side: int) -> bytes:
        """A JPEG of the picture, upright, no side longer than ``side`` pixels."""
        return self._shown(picture, side, is_square=False)

    def square(self, picture: bytes, side: int) -> bytes:
        """A JPEG of the center square, ``side`` pixels wide."""
        return self._shown(picture, side, is_square=True)

    def looks(
        self, picture: bytes, how: Preprocessing, shares: Sequence[Sequence[float]], opacity: float, side: int
    ) -> Looks:
        """What the model sees, and where it looks: ``shares`` by rows of patches, ``opacity`` 0..1."""
        answer = self._ask(DrawLooks(how, tuple(map(tuple, shares)), opacity, side), picture)
        ends = itertools.accumulate(answer.value.lengths, initial=0)
        framed, model_input, heat = (answer.blob[start:end] for start, end in itertools.pairwise(ends))
        return Looks(framed, model_input, heat, answer.value.size)

    def end_if_stuck(self) -> None:
        """Ends processes that hang. New ones start for the next pictures."""
        for decoder in self._all:
            decoder.end_if_stuck()

    def close(self) -> None:
        for decoder in self._all:
            decoder.close()

    def _shown(self, picture: bytes, side: int, is_square: bool) -> bytes:
        return self._ask(Show(side, is_square), picture).blob

    def _ask(self, task: Task[AnswerT], picture: bytes) -> AnswerT:
        # Checked first, so that nobody waits in line for a picture that is refused anyway.
        if len(picture) > self._settings.picture_bytes:
            raise too_large(self._settings)
        try:
            number, decoder = self._free.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise QueueFull("Too many pictures wait to be read now.", "Try again in a minute.") from None
        seconds = self._settings.picture_seconds
        try:
            with _slow_gives_way(decoder):
                return decoder.submit(task, seconds, picture).result()
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
            self._free.put((number, decoder))


@contextmanager
def _slow_gives_way(decoder: WorkerProcess) -> Iterator[None]:
    """Lowers the priority of the process while its picture is a slow one, and replaces the process afterwards."""
    is_over, is_slow = threading.Event(), threading.Event()

    def watch() -> None:
        before: float | None = None
        while not is_over.wait(LOOK_SECONDS):
            used = decoder.cpu_seconds
            before = used if before is None else before
            if used is not None and before is not None and used - before > SLOW_CPU_SECONDS:
                decoder.give_way(SLOW_NICENESS)
                is_slow.set()
                return

    watching = threading.Thread(target=watch, name="slow picture", daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()
    if is_slow.is_set():
        # A process cannot raise its priority again.
        decoder.close()
        decoder.start()


@functools.cache
def shared(settings: Settings) -> Decoders:
    """The decoders of this process: for the command line, scripts, and the worker."""
    return Decoders(settings)
