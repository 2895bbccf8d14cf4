"""One answer for all who ask the same question at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from deploy_core.errors import DeployError, QueueFull
from deploy_core.processes.shared import SharedAnswers

WAIT = 20.0


class Room:
    """Somebody asks, and others come while that question is open."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.shared = SharedAnswers[str]()
        self._pool = ThreadPoolExecutor(8)
        self._open, self._go = threading.Event(), threading.Event()

    def first(self, end: Callable[[], str]) -> Future[str]:
        def ask() -> str:
            self.asked.append("first")
            self._open.set()
            assert self._go.wait(WAIT)
            return end()

        waiting = self._pool.submit(self.shared.answer, "what", ask)
        assert self._open.wait(WAIT)
        return waiting

    def other(self, question: str = "what") -> Future[str]:
        def ask() -> str:
            self.asked.append("other")
            return "other"

        return self._pool.submit(self.shared.answer, question, ask)

    def go(self) -> None:
        self._go.set()


def refused() -> str:
    raise QueueFull("Too many wait.", "Try again.")


def left() -> str:
    raise KeyboardInterrupt


def test_those_who_ask_at_the_same_time_share_the_answer() -> None:
    room = Room()
    waiting = [room.first(lambda: "first"), *(room.other() for _ in range(5))]
    assert room.other("something else").result(WAIT) == "other"
    room.go()
    assert {one.result(WAIT) for one in waiting} <= {"first", "other"}
    assert waiting[0].result() == "first"
    assert room.asked.count("first") == 1
    assert room.other().result(WAIT) == "other"


def test_they_share_its_error() -> None:
    room = Room()
    first = room.first(refused)
    room.go()
    with pytest.raises(DeployError, match="Too many wait"):
        first.result(WAIT)


def test_if_the_first_leaves_the_next_one_asks() -> None:
    room = Room()
    first, other = room.first(left), room.other()
    room.go()
    with pytest.raises(KeyboardInterrupt):
        first.result(WAIT)
    assert other.result(WAIT) == "other"
