"""Distillation: the student learns the teacher's answers to the same crops and mixtures.

This is function matching (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", arXiv
2106.05237) with DeiT's two tokens (Touvron et al., arXiv 2012.12877). Without labels both learn the teacher's answer.
With labels the class token learns the true label, and the distillation token the teacher's answer.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from deploy_core.errors import InvalidRequest
from deploy_core.files import atomic_write
from deploy_core.training import views
from deploy_core.training.photographs import Photographs
from deploy_core.training.recipe import Phase, Recipe
from deploy_core.training.student import normalized

CHECKPOINT_SECONDS = 120.0
REPORT_SECONDS = 15.0
LONGEST_GRADIENT = 1.0
AVERAGE_WARM_UP = 20


class Lesson(nn.Module):
    """One batch's loss, and the share of pictures for which student and teacher choose the same class."""

    def __init__(self, student: nn.Module, teacher: nn.Module, smoothing: float, device: str) -> None:
        super().__init__()
        self.student, self.teacher, self.smoothing = student, teacher, smoothing
        self.halves = torch.autocast(device, torch.bfloat16, enabled=device == "cuda")

    def forward(
        self, pictures: torch.Tensor, shown: torch.Tensor, true: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The student sees ``pictures``, the teacher ``shown``; ``true`` are the true probabilities (N, classes)."""
        with torch.no_grad():
            taught = self.teacher(shown).float().softmax(1)
        with self.halves:
            by_class, by_distillation = self.student(normalized(pictures))
        by_class, by_distillation = by_class.float(), by_distillation.float()
        smoothing = 0.0 if true is None else self.smoothing
        loss = cross_entropy(by_class, taught if true is None else true, label_smoothing=smoothing)
        loss = (loss + cross_entropy(by_distillation, taught)) / 2
        agrees = (by_class + by_distillation).argmax(1) == taught.argmax(1)
        return loss, agrees.float().mean().detach()


class Distillation:
    """A run, from its newest checkpoint to its end. ``average`` holds the averaged weights: they are the result."""

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        photographs: Photographs,
        recipe: Recipe,
        out: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = photographs.pixels.device.type
        self.student = student.to(self.device).train()
        self.average = copy.deepcopy(self.student).requires_grad_(False)
        self.photographs, self.recipe, self.clock = photographs, recipe, clock
        self.optimizers = optimizers(self.student, recipe)
        lesson = Lesson(self.student, teacher.to(self.device), recipe.smoothing, self.device)
        self.lesson: Callable[..., tuple[torch.Tensor, torch.Tensor]] = (
            torch.compile(lesson, dynamic=False) if self.device == "cuda" else lesson
        )
        self.path = out / "checkpoint.pt"
        self.steps = self.samples = 0
        self.seconds = 0.0

    @property
    def share(self) -> float:
        """How much of the run is over, 0..1."""
        return self.recipe.share(self.seconds, self.samples)

    def resume(self) -> bool:
        """Continues from the checkpoint, if there is one. Raises InvalidRequest if it is damaged or of another run."""
        if not self.path.exists():
            return False
        try:
            saved: dict[str, Any] = torch.load(self.path, map_location=self.device, weights_only=True)
            before = saved["run"]
        except Exception as error:  # torch raises many kinds of exceptions on files that it did not write
            raise InvalidRequest(
                f"{self.path} is no checkpoint of a run.", "Remove it, or name another --out."
            ) from error
        changed = [name for name, value in self._identity().items() if before.get(name) != value]
        if changed:
            raise InvalidRequest(
                f"The checkpoint in {self.path.parent} belongs to a run with another {', '.join(changed)}.",
                "Give its options to go on, or name another --out.",
            )
        self.student.load_state_dict(saved["student"])
        self.average.load_state_dict(saved["average"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.steps, self.samples, self.seconds = saved["steps"], saved["samples"], saved["seconds"]
        return True

    def save(self) -> None:
        """Writes the checkpoint. Raises StorageFailed."""
        state = {
            "run": self._identity(),
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "steps": self.steps,
            "samples": self.samples,
            "seconds": self.seconds,
        }
        with atomic_write(self.path) as temporary:
            torch.save(state, temporary)

    def train(self, tell: Callable[[str], None], at_checkpoint: Callable[[], None]) -> None:
        """Trains to the end, and calls ``at_checkpoint`` before it writes a checkpoint. Raises StorageFailed."""
        began = self.clock() - self.seconds
        reported = saved = self.seconds
        losses: list[torch.Tensor] = []
        agreements: list[torch.Tensor] = []
        while self.share < 1:
            loss, agreement = self._step()
            losses.append(loss)
            agreements.append(agreement)
            self.seconds = self.clock() - began
            if self.seconds - reported >= REPORT_SECONDS or self.share >= 1:
                left = self.seconds * max(0.0, 1 / self.share - 1) / 60
                speed = len(losses) * self.recipe.batch / max(self.seconds - reported, 1e-3)
                tell(
                    f"{left:.1f} minutes left, loss {torch.stack(losses).mean():.3f}, agrees with the teacher "
                    f"{torch.stack(agreements).mean():.0%}, {speed:.0f} pictures/s of {self._phase.size} pixels"
                )
                reported = self.seconds
                losses.clear()
                agreements.clear()
            if self.seconds - saved >= CHECKPOINT_SECONDS or self.share >= 1:
                saved = self.seconds
                at_checkpoint()
                self.save()
                # Measuring is no training, so the schedule does not go on meanwhile.
                began = self.clock() - self.seconds

    def _step(self) -> tuple[torch.Tensor, torch.Tensor]:
        recipe = self.recipe
        rate = recipe.rate_at(self.share)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        loss, agreement = self.lesson(*self._batch())
        self.student.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), LONGEST_GRADIENT)
        for optimizer in self.optimizers:
            optimizer.step()
        follow(self.average, self.student, min(recipe.decay, (1 + self.steps) / (AVERAGE_WARM_UP + self.steps)))
        self.steps += 1
        self.samples += recipe.batch
        return loss.detach(), agreement

    @property
    def _phase(self) -> Phase:
        return self.recipe.phase(self.share)

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """What the student sees, what the teacher sees, and the true probabilities."""
        recipe, phase = self.recipe, self._phase
        # The seed depends on the step, so that a resumed run sees the same pictures as one that was never stopped.
        generator = torch.Generator().manual_seed(recipe.seed + self.steps)
        chosen = torch.randint(len(self.photographs), (recipe.batch,), generator=generator).to(self.device)
        maps = views.boxes(recipe.batch, phase.least_area, generator)
        shown = views.cut(self.photographs.pixels[chosen], maps, max(recipe.teacher_size, phase.size))
        shown, own = views.mixed(views.coloured(shown, generator), recipe.mixed, generator)
        true = None
        if self.photographs.labels is not None:
            true = one_hot(self.photographs.labels[chosen], recipe.student.classes).float()
            true = own * true + (1 - own) * true.flip(0)
        return views.resized(shown, phase.size), shown, true

    def _identity(self) -> dict[str, Any]:
        return asdict(self.recipe) | {"number of photographs": len(self.photographs)}


@torch.no_grad()
def follow(average: nn.Module, student: nn.Module, decay: float) -> None:
    """Moves the averaged weights toward the student's; ``decay`` is the share of them that stays."""
    for kept, current in zip(average.parameters(), student.parameters(), strict=True):
        kept.lerp_(current, 1 - decay)


def optimizers(student: nn.Module, recipe: Recipe) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices of the blocks, with updates as large as AdamW's, and AdamW for all other parameters.

    Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024. The size of the updates follows Liu et
    al., "Muon is Scalable for LLM Training", arXiv 2502.16982.
    """
    kinds: dict[str, list[nn.Parameter]] = {"matrix": [], "decayed": [], "undecayed": []}
    for name, parameter in student.named_parameters():
        kinds[kind_of(name, parameter)].append(parameter)
    decay = recipe.weight_decay
    groups = [
        {"params": kinds["decayed"], "weight_decay": decay},
        {"params": kinds["undecayed"], "weight_decay": 0.0},
    ]
    return (
        torch.optim.Muon(kinds["matrix"], weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True),
    )


def kind_of(name: str, parameter: torch.Tensor) -> str:
    """How a parameter is trained: ``matrix`` (in a block), ``decayed``, or ``undecayed`` (norm, bias, token, place)."""
    if parameter.ndim <= 1 or name in ("cls_token", "dist_token", "pos_embed"):
        return "undecayed"
    return "matrix" if name.startswith("blocks.") else "decayed"
