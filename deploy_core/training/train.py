"""Trains the embedded DeiT: a convolutional teacher first, then the student by distillation with hard labels.

    python -m deploy_core.training.train --data FOLDER [--out runs/embedded]

The method is DeiT's (Touvron et al., "Training data-efficient image transformers & distillation
through attention", arXiv 2012.12877): the class token learns the true label, the distillation token
the teacher's decision on the same augmented picture. A checkpoint is written to ``--out`` after each
epoch; the same command resumes from it. ``--start`` begins another cycle of the schedule with the weights
of an earlier run; give it another ``--out``, and copy ``teacher.ckpt`` there to use the same teacher.
FOLDER holds CIFAR-10 as ``train/<class>/*.jpg`` or ``train.tar.xz``. The script uses a GPU if there is one,
and keeps the data on it; it uses bfloat16 if the processor has instructions for it.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deploy_core.embedded import LABELS, WEIGHTS
from deploy_core.files import sha256
from deploy_core.training.augment import cutmix, trivial_augment, zoom
from deploy_core.training.compute import accuracy, logits_of, mixed, normalize, precision
from deploy_core.training.data import Split, hold_out, read_split
from deploy_core.training.export import calibrate, export, read_weights
from deploy_core.training.recipe import Recipe, TeacherRecipe
from deploy_core.training.run import Run, one_cycle
from deploy_core.training.student import kind_of, new_student
from deploy_core.training.teacher import Teacher

WHITENED = 5000


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
    # Not the average: the learning rate has come down to zero, and the average lags behind the batch statistics.
    return model.eval()


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
        # With so few patches, the backward pass of the fused attention takes as long as everything else together.
        for block in model.blocks:
            block.attn.fused_attn = False
    run = Run("student", model, _optimizers(model, recipe), out, recipe)
    run.resume(device)
    teacher_precision, autocast = precision(device), mixed(device)
    fast_teacher = copy.deepcopy(teacher).to(teacher_precision)

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if run.epoch >= recipe.patch_drop_until * recipe.epochs:
            model.patch_drop.prob = 0.0
        images = trivial_augment(zoom(images, recipe.zoom_share), recipe.trivial_share)
        others, kept = labels, 1.0
        if torch.rand(()).item() < recipe.cutmix_probability:
            images, others, kept = cutmix(images, labels)
        inputs = normalize(images)
        with torch.no_grad():
            taught = fast_teacher(inputs.to(teacher_precision, memory_format=torch.channels_last)).argmax(1)
        with autocast:
            by_class, by_distillation = model(inputs)
        by_class = by_class.float()
        smoothing = recipe.label_smoothing
        true = kept * cross_entropy(by_class, labels, label_smoothing=smoothing)
        true = true + (1 - kept) * cross_entropy(by_class, others, label_smoothing=smoothing)
        return 0.5 * true + 0.5 * cross_entropy(by_distillation.float(), taught)

    schedule = one_cycle(recipe.epochs, len(data) // recipe.batch, recipe.warmup_epochs)
    run.train(data, validation, schedule, loss, longest_gradient=1.0)
    return run.average.eval()


def _optimizers(model: Any, recipe: Recipe) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices in the blocks, with updates as large as AdamW's, and AdamW for all other parameters.

    Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024. The size of the updates follows Liu et
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ or train.tar.xz")
    parser.add_argument("--out", type=Path, default=Path("runs/embedded"), help="folder for checkpoints")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="file for the finished weights")
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
        print(
            "No bfloat16 instructions, which Muon needs: expect several times the time.",
            flush=True,
        )
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
