"""What brings a visitor back to their own models after a reload of the page: a secret that only their tab keeps."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Left:
    """A visitor as they left the page.

    - ``picked``: the reference of the own model that was picked; None if another model was
    - ``sources``: the words of the command line that name the checkpoint and labels of each own model
    """

    visitor: str
    picked: str | None
    sources: Mapping[str, list[str]]


class Returns:
    """Who may come back, by the hash of their secret. It is gone when the app ends, and so are all visitors' models.

    The visitor's name cannot serve: it is part of the addresses of their files, and they may share those.
    """

    def __init__(self) -> None:
        self._left: dict[bytes, Left] = {}
        self._guard = threading.Lock()

    @staticmethod
    def new_secret() -> str:
        """A secret of 256 random bits."""
        return secrets.token_urlsafe(32)

    def note(self, secret: str, left: Left) -> None:
        """Remembers how the page looks for the visitor with this secret."""
        with self._guard:
            self._left[_hash(secret)] = left

    def find(self, secret: str) -> Left | None:
        """The visitor with this secret; None if nobody has it, or if what they brought is deleted."""
        with self._guard:
            return self._left.get(_hash(secret))

    def forget(self, visitor: str) -> None:
        """Forgets a visitor whose models are deleted."""
        with self._guard:
            self._left = {key: left for key, left in self._left.items() if left.visitor != visitor}


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
