"""Trains the embedded DeiT: a convolutional teacher first, then the student, distilled by hard labels.

    python -m deploy_core.training.train --data FOLDER [--out runs/embedded]

The method is DeiT's (Touvron et al., "Training data-efficient image transformers & distillation
through attention", arXiv 2012.12877): the class token learns the true label, the distillation token
the teacher's decision on the same augmented picture. Each epoch is checkpointed under ``--out``; the
same command goes on from there. ``--start`` begins another cycle of the schedule with the weights of an
earlier run, under another ``--out``; a ``teacher.ckpt`` copied there is used again. FOLDER holds CIFAR-10
as ``train/<class>/*.jpg`` or ``train.tar.xz``. Runs on a GPU with the data on it, where there is one, else on
the CPU; in bfloat16 where the processor has instructions for it.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deploy_core.embedded import LABELS, PREPROCESSING, WEIGHTS
from deploy_core.files import atomic_write, sha256
from deploy_core.training.augment import cutmix, shift_and_mirror, trivial_augment, zoom
from deploy_core.training.data import Split, hold_out, read_split
from deploy_core.training.student import kind_of, new_student
from deploy_core.training.teacher import Teacher

WHITENED = 5000
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


@dataclass(frozen=True)
class TeacherRecipe:
    """What decides the teacher; stored in its checkpoint, so that a run never goes on under another recipe."""

    seed: int = 0
    validation_per_class: int = 250
    epochs: int = 12
    batch: int = 1024
    lr: float = 1.5
    bias_lr_factor: float = 64.0
    momentum: float = 0.85
    weight_decay: float = 1.3e-3
    label_smoothing: float = 0.2
    average_decay: float = 0.999


@dataclass(frozen=True)
class Recipe:
    """What decides the student, the teacher included; stored in its checkpoints.

    ``matrix_lr`` is the rate of the matrices in the blocks, ``lr`` of all else. ``patch_drop`` is the share of patches
    that the student does not see, until ``patch_drop_until`` of the epochs are over: it makes an epoch on a CPU 2.4
    times as fast, and stands for random erasing. ``start`` is the SHA-256 of the weights that the student begins with,
    or empty for a start of its own.
    """

    teacher: TeacherRecipe = TeacherRecipe()
    start: str = ""
    epochs: int = 50
    batch: int = 128
    matrix_lr: float = 1e-3
    lr: float = 5e-4
    weight_decay: float = 0.05
    warmup_epochs: float = 1.5
    drop_path: float = 0.05
    patch_drop: float = 0.5
    patch_drop_until: float = 0.7
    label_smoothing: float = 0.1
    zoom_share: float = 0.25
    trivial_share: float = 0.5
    cutmix_probability: float = 0.5
    average_decay: float = 0.999

    @property
    def seed(self) -> int:
        return self.teacher.seed


Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def normalize(images: torch.Tensor) -> torch.Tensor:
    """uint8 (N, 3, 32, 32) to float32, normalized per channel as the model's preprocessing does."""
    shape = (1, 3, 1, 1)
    mean = torch.tensor(PREPROCESSING.mean, device=images.device).view(shape)
    std = torch.tensor(PREPROCESSING.std, device=images.device).view(shape)
    return (images.float() / 255 - mean) / std


def precision(device: str) -> torch.dtype:
    """bfloat16 where the device has instructions for it; without them it takes many times as long as float32."""
    if device == "cuda":
        has_instructions = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_instructions = any(torch.cpu.get_capabilities().get(name) for name in CPU_BFLOAT16)
    return torch.bfloat16 if has_instructions else torch.float32


def mixed(device: str) -> torch.autocast:
    """Lets matrix products and convolutions be computed in ``precision``."""
    return torch.autocast(device, torch.bfloat16, enabled=precision(device) is torch.bfloat16)


def batches(split: Split, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    order = torch.randperm(len(split)).to(split.labels.device)
    for start in range(0, len(split) - size + 1, size):
        chosen = order[start : start + size]
        yield shift_and_mirror(split.images[chosen]), split.labels[chosen]


@torch.no_grad()
def logits_of(model: nn.Module, split: Split) -> torch.Tensor:
    """What the model answers to every picture of a split, float32 (N, classes)."""
    model.eval()
    return torch.cat([model(normalize(images)) for images in split.images.split(500)])


def accuracy(model: nn.Module, split: Split) -> float:
    return float((logits_of(model, split).argmax(1) == split.labels).float().mean())


def one_cycle(epochs: float, steps_per_epoch: int, warmup_epochs: float) -> Callable[[int], float]:
    """The learning rate's factor by step: a linear warm-up, then half a cosine down to zero."""
    warmup, total = warmup_epochs * steps_per_epoch, epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    return factor


class Run:
    """One network's training, from its newest checkpoint to the last epoch."""

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
                f"{self.path} was written under another recipe. Name another --out, or remove the file to start again."
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
            # Seeded by epoch, so that a resumed run sees the same pictures as one that was never stopped.
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


def train_teacher(recipe: TeacherRecipe, data: Split, validation: Split, out: Path, device: str) -> nn.Module:
    torch.manual_seed(recipe.seed)
    model = Teacher(len(data.classes))
    model.whiten_with(normalize(data.images[:: max(1, len(data) // WHITENED)].cpu()))
    model = model.to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    biases = model.norm_biases()
    others = [p for p in model.parameters() if p.requires_grad and not any(p is bias for bias in biases)]
    faster = recipe.bias_lr_factor
    optimizer = torch.optim.SGD(
        [
            {"params": others, "lr": recipe.lr, "weight_decay": recipe.weight_decay},
            {
                "params": biases,
                "lr": recipe.lr * faster,
                "weight_decay": recipe.weight_decay / faster,
            },
        ],
        momentum=recipe.momentum,
        nesterov=True,
    )
    run = Run("teacher", model, (optimizer,), out, recipe)
    run.resume(device)
    autocast = mixed(device)

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        inputs = normalize(images).contiguous(memory_format=torch.channels_last)
        with autocast:
            logits = model(inputs)
        return cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)

    schedule = one_cycle(recipe.epochs, len(data) // recipe.batch, recipe.epochs * 0.2)
    run.train(data, validation, schedule, loss)
    # The raw weights have been annealed to rate zero; the average would lag behind their batch statistics.
    return model.eval()


def _optimizers(model: Any, recipe: Recipe) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices in the blocks, with updates as large as AdamW's, and AdamW for all else.

    Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024; the size of the updates is that of Liu et
    al., "Muon is Scalable for LLM Training", arXiv 2502.16982.
    """
    kinds: dict[str, list[nn.Parameter]] = {"matrix": [], "other": [], "undecayed": []}
    for name, parameter in model.named_parameters():
        kinds[kind_of(name, parameter)].append(parameter)
    matrices = torch.optim.Muon(
        kinds["matrix"], lr=recipe.matrix_lr, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    others = torch.optim.AdamW(
        [
            {"params": kinds["other"], "weight_decay": recipe.weight_decay},
            {"params": kinds["undecayed"], "weight_decay": 0.0},
        ],
        lr=recipe.lr,
        betas=(0.9, 0.99),
        fused=True,
    )
    return matrices, others


def train_student(
    recipe: Recipe,
    teacher: nn.Module,
    data: Split,
    validation: Split,
    out: Path,
    device: str,
    start: Path | None = None,
) -> nn.Module:
    torch.manual_seed(recipe.seed)
    model = new_student(recipe.drop_path, recipe.patch_drop)
    if start is not None:
        model.load_state_dict(read_weights(start))
    model.to(device)
    if device == "cpu":
        # For so few patches the fused attention's backward takes as long as all the rest.
        for block in model.blocks:
            block.attn.fused_attn = False
    run = Run("student", model, _optimizers(model, recipe), out, recipe)
    run.resume(device)
    decider_precision, autocast = precision(device), mixed(device)
    decider = copy.deepcopy(teacher).to(decider_precision)

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if run.epoch >= recipe.patch_drop_until * recipe.epochs:
            model.patch_drop.prob = 0.0
        images = trivial_augment(zoom(images, recipe.zoom_share), recipe.trivial_share)
        others, own = labels, 1.0
        if torch.rand(()).item() < recipe.cutmix_probability:
            images, others, own = cutmix(images, labels)
        inputs = normalize(images)
        with torch.no_grad():
            decision = decider(inputs.to(decider_precision, memory_format=torch.channels_last)).argmax(1)
        with autocast:
            by_class, by_distillation = model(inputs)
        by_class = by_class.float()
        smoothing = recipe.label_smoothing
        true = own * cross_entropy(by_class, labels, label_smoothing=smoothing)
        true = true + (1 - own) * cross_entropy(by_class, others, label_smoothing=smoothing)
        return 0.5 * true + 0.5 * cross_entropy(by_distillation.float(), decision)

    schedule = one_cycle(recipe.epochs, len(data) // recipe.batch, recipe.warmup_epochs)
    run.train(data, validation, schedule, loss, longest_gradient=1.0)
    return run.average.eval()


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """What to divide logits by so that they are as sure as they are right: the least cross entropy.

    Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599.
    """
    log = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = cross_entropy(logits.cpu() / log.exp(), labels.cpu())
        value.backward()
        return value

    optimizer.step(closure)
    return float(log.detach().exp())


@torch.no_grad()
def calibrate(model: Any, validation: Split) -> float:
    """Folds the temperature of the validation split into both heads, so that every artifact has it; returns it."""
    found = temperature(logits_of(model, validation), validation.labels)
    for head in (model.head, model.head_dist):
        head.weight.div_(found)
        head.bias.div_(found)
    return found


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """What ``export`` wrote, in float32."""
    from safetensors.torch import load_file

    return {name: tensor.float() for name, tensor in load_file(path).items()}


def export(model: nn.Module, path: Path) -> None:
    """Writes the weights in half precision, which halves the file; the model card states what it costs."""
    from safetensors.torch import save_file

    weights = {
        name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    with atomic_write(path) as temporary:
        save_file(weights, temporary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ or train.tar.xz")
    parser.add_argument("--out", type=Path, default=Path("runs/embedded"), help="where checkpoints go")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where the finished weights go")
    parser.add_argument("--start", type=Path, help="weights of an earlier run, for one more cycle of the schedule")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--teacher-epochs", type=int, default=TeacherRecipe.epochs)
    arguments = parser.parse_args()

    start: Path | None = arguments.start
    recipe = Recipe(
        epochs=arguments.epochs,
        teacher=TeacherRecipe(epochs=arguments.teacher_epochs),
        start=sha256(start) if start else "",
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    arguments.out.mkdir(parents=True, exist_ok=True)
    whole = read_split(arguments.data, "train")
    if whole.classes != LABELS:
        raise SystemExit(f"{arguments.data} holds the classes {', '.join(whole.classes)}, not CIFAR-10's.")
    data, validation = (part.to(device) for part in hold_out(whole, recipe.teacher.validation_per_class, recipe.seed))
    print(f"{len(data)} pictures to train on, {len(validation)} to validate, on {device}", flush=True)
    if precision(device) is torch.float32:
        print("No bfloat16 instructions, and Muon computes in nothing else: expect several times the time.", flush=True)
    teacher = train_teacher(recipe.teacher, data, validation, arguments.out, device)
    print(f"teacher: validation top-1 {accuracy(teacher, validation):.4f}", flush=True)
    student = train_student(recipe, teacher, data, validation, arguments.out, device, start)
    print(f"temperature {calibrate(student, validation):.3f}, folded into the heads", flush=True)
    export(student, arguments.weights)
    before = logits_of(student, validation).argmax(1)
    student.load_state_dict(read_weights(arguments.weights))
    changed = int((logits_of(student, validation).argmax(1) != before).sum())
    print(f"half precision changes {changed} of {len(validation)} answers", flush=True)
    print(f"student: validation top-1 {accuracy(student, validation):.4f}; weights in {arguments.weights}", flush=True)


if __name__ == "__main__":
    main()
