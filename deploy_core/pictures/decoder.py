"""``python -m deploy_core.pictures.decoder FD NICENESS AT_ONCE LARGE``: reads visitors' pictures.

A picture may crash this process. It holds no model, no secret and no data of other visitors, writes no core dump, and
has a limit on its memory. ``pool`` sends it pictures, and replaces it. ``LARGE`` is the descriptor of an open file: a
process locks it while it reads a large picture, so that only one does so at a time.
"""

from __future__ import annotations

import fcntl
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from deploy_core.pictures import decode, preprocess, view
from deploy_core.pictures.requests import DrawLooks, Drawn, Prepare, Show, Spent
from deploy_core.processes.server import serve
from deploy_core.processes.task import WithBytes, Work, does, table
from deploy_core.settings import Settings
from deploy_core.types import Event

# A phone's picture of 12 megapixels is not large, so it does not wait.
LARGE_PIXELS = 16_000_000
# A picture with transparency and a colour profile is in memory four times, at four bytes a pixel.
BYTES_A_PIXEL = 16
LIBRARIES_BYTES = 1_000_000_000
WAIT_SECONDS = 0.1
# The process that asked ends this one after the time limit. If it is gone, the alarm ends it a little later.
ALARM_AFTER_SECONDS = 5

AdmitPixels = Callable[[int], None]


def run_prepare(request: Prepare, work: Work) -> WithBytes[Spent]:
    how = request.how
    with _admission(work) as admit:
        started = time.perf_counter()
        at_least = None if request.whole else preprocess.enough_for(how)
        picture = decode.decode(work.blob, work.settings, at_least, admit)
        decoded = time.perf_counter()
        tensor = preprocess.preprocess(picture, how)
        prepared = time.perf_counter()
    spent = Spent(read=(decoded - started) * 1000, preprocess=(prepared - decoded) * 1000)
    return WithBytes(spent, tensor.astype("<f4").tobytes())


def run_show(request: Show, work: Work) -> WithBytes[None]:
    side = request.side
    with _admission(work) as admit:
        picture = decode.decode(work.blob, work.settings, side, admit)
    if request.is_square:
        return WithBytes(None, view.jpeg(view.square(picture, side)))
    picture.thumbnail((side, side))
    return WithBytes(None, view.jpeg(picture))


def run_looks(request: DrawLooks, work: Work) -> WithBytes[Drawn]:
    how, side = request.how, request.side
    with _admission(work) as admit:
        whole = decode.decode(work.blob, work.settings, 2 * side, admit)
    whole.thumbnail((2 * side, 2 * side))
    heat = view.heat(view.fitted(view.seen(whole, how), side), request.shares, request.opacity)
    pixels = preprocess.crop(whole, how).resize((side, side), Image.Resampling.NEAREST)
    drawn = [view.jpeg(one) for one in (view.framed(whole, how), pixels, heat)]
    return WithBytes(Drawn(whole.size, tuple(map(len, drawn))), b"".join(drawn))


TASKS = table(does(Prepare, run_prepare), does(Show, run_show), does(DrawLooks, run_looks))


@contextmanager
def _admission(work: Work) -> Iterator[AdmitPixels]:
    """Lets only one process at a time read a large picture, because their memory adds up."""

    def admit(pixels: int) -> None:
        while pixels > LARGE_PIXELS:
            _set_alarm(work.settings)
            try:
                fcntl.lockf(_large_lock(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                work.progress(Event("Reading a large picture", 0.0))
                return
            except OSError:
                work.progress(Event("Waiting for another large picture", 0.0))
                time.sleep(WAIT_SECONDS)

    _set_alarm(work.settings)
    try:
        yield admit
    finally:
        signal.alarm(0)
        with suppress(OSError):
            fcntl.lockf(_large_lock(), fcntl.LOCK_UN)


def _set_alarm(limits: Settings) -> None:
    signal.alarm(math.ceil(limits.picture_seconds) + ALARM_AFTER_SECONDS)


def _large_lock() -> int:
    return int(sys.argv[4])


def _bound_memory(limits: Settings) -> None:
    most = LIBRARIES_BYTES + BYTES_A_PIXEL * limits.picture_pixels
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # If memory runs out nevertheless, Linux ends this process before those that serve other visitors.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _silence_native_code() -> None:
    """libtiff and others write about damaged pictures to standard error, which is the server's log."""
    log = os.dup(2)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), 2)
    sys.stderr = os.fdopen(log, "w", buffering=1)


if __name__ == "__main__":
    from deploy_core import settings

    _silence_native_code()
    _bound_memory(settings.load())
    decode.load_decoders()
    serve(TASKS, *map(int, sys.argv[1:4]))
