"""One answer for all who ask the same question at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

from deploy_core.errors import DeployError

AnswerT = TypeVar("AnswerT")


class SharedAnswers(Generic[AnswerT]):
    """Threads can share it. Nothing is kept once a question is answered."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, Future[AnswerT]] = {}
        self._turn = threading.Lock()

    def answer(self, question: Hashable, ask: Callable[[], AnswerT]) -> AnswerT:
        """What ``ask`` returns or raises, asked by the first of those who wait for it.

        If that one leaves before there is an answer, the next one asks.
        """
        while True:
            with self._turn:
                others = self._asked.get(question)
                if others is None:
                    mine = self._asked[question] = Future()
                    break
            error = others.exception()
            if error is None:
                return others.result()
            if isinstance(error, DeployError):
                raise error
        try:
            found = ask()
        except BaseException as error:
            self._end(question)
            mine.set_exception(error)
            raise
        self._end(question)
        mine.set_result(found)
        return found

    def _end(self, question: Hashable) -> None:
        with self._turn:
            del self._asked[question]
