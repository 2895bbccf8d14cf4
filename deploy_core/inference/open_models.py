"""A bounded cache of the models in a process's memory, with one copy of each."""

from __future__ import annotations

import threading
from collections import OrderedDict

from deploy_core import memory
from deploy_core.inference import classify
from deploy_core.inference.classify import Classifier
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.types import ModelChoice

Key = tuple[ModelChoice, str]


class OpenModels:
    """At most ``most`` models; the least recently used one is freed first. Threads can share it."""

    def __init__(self, settings: Settings, most: int) -> None:
        self._settings, self._most = settings, most
        self._open: OrderedDict[Key, Classifier] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, model: ModelChoice) -> Classifier:
        """The model, loaded and warmed up. Raises as ``classify.open_model``."""
        # One at a time, so that two threads that ask for the same model do not both load it.
        with self._turn:
            key = (model, load.weights_identity(load.find(model.reference), model.weights))
            if key not in self._open:
                while len(self._open) >= self._most:
                    self._open.popitem(last=False)
                    memory.give_back()
                opened = classify.open_model(model.reference, model.weights, self._settings)
                opened.warm_up()
                self._open[key] = opened
            self._open.move_to_end(key)
            return self._open[key]

    def forget(self, owner: str) -> None:
        """Frees a visitor's own models."""
        with self._turn:
            for key in [key for key, opened in self._open.items() if opened.spec.owner == owner]:
                del self._open[key]
            memory.give_back()
