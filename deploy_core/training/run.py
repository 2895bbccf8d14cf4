"""One network's training: the loop over epochs, the learning rate, and a checkpoint after each epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deploy_core.files import atomic_write
from deploy_core.training.augment import shift_and_mirror
from deploy_core.training.compute import accuracy
from deploy_core.training.data import Split
from deploy_core.training.recipe import Recipe, TeacherRecipe

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Run:
    """The training of one network, from its newest checkpoint to the last epoch."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        optimizers: tuple[torch.optim.Optimizer, ...],
        out: Path,
        recipe: TeacherRecipe | Recipe,
    ) -> None:
        self.name, self.model, self.optimizers, self.recipe = name, model, optimizers, recipe
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.path = out / f"{name}.ckpt"
        self.epoch = 0
        self.steps = 0

    def resume(self, device: str) -> None:
        if not self.path.exists():
            return
        saved: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        if saved["recipe"] != asdict(self.recipe):
            raise SystemExit(
                f"{self.path} was written with another recipe. Name another --out, or remove the file to start again."
            )
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.epoch, self.steps = saved["epoch"], saved["steps"]
        print(f"{self.name}: resumed after epoch {self.epoch}", flush=True)

    def save(self) -> None:
        state = {
            "recipe": asdict(self.recipe),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epoch": self.epoch,
            "steps": self.steps,
        }
        with atomic_write(self.path) as temporary:
            torch.save(state, temporary)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.average_decay, (1 + self.steps) / (10 + self.steps))
        for kept, current in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(current, 1 - decay)
            else:
                kept.copy_(current)

    def train(
        self,
        data: Split,
        validation: Split,
        schedule: Callable[[int], float],
        loss: Step,
        longest_gradient: float = math.inf,
    ) -> None:
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        base = [group["lr"] for group in groups]
        epochs = self.recipe.epochs
        while self.epoch < epochs:
            # The seed depends on the epoch, so that a resumed run sees the same pictures as one that was never stopped.
            torch.manual_seed(self.recipe.seed * 1000 + self.epoch)
            self.model.train()
            started, seen, total = time.monotonic(), 0, 0.0
            for images, labels in batches(data, self.recipe.batch):
                for group, rate in zip(groups, base, strict=True):
                    group["lr"] = rate * schedule(self.steps)
                value = loss(images, labels)
                self.model.zero_grad(set_to_none=True)
                value.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), longest_gradient)
                for optimizer in self.optimizers:
                    optimizer.step()
                self.steps += 1
                self._update_average()
                seen += len(labels)
                total += float(value.detach()) * len(labels)
            for group, rate in zip(groups, base, strict=True):
                group["lr"] = rate
            self.epoch += 1
            rate_seen = seen / (time.monotonic() - started)
            self.save()
            print(
                f"{self.name}: epoch {self.epoch}/{epochs}  loss {total / seen:.3f}  "
                f"validation top-1 {accuracy(self.average, validation):.4f}  {rate_seen:.0f} pictures/s",
                flush=True,
            )


def batches(split: Split, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    order = torch.randperm(len(split)).to(split.labels.device)
    for start in range(0, len(split) - size + 1, size):
        chosen = order[start : start + size]
        yield shift_and_mirror(split.images[chosen]), split.labels[chosen]


def one_cycle(epochs: float, steps_per_epoch: int, warmup_epochs: float) -> Callable[[int], float]:
    """The factor of the learning rate at each step: a linear warm-up, then half a cosine down to zero."""
    warmup, total = warmup_epochs * steps_per_epoch, epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    return factor
