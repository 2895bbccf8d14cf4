"""Calibrates the embedded model: finds the temperature on one half of labelled photographs, and tests it on the other.

    python -m deploy_core.training.calibrate WEIGHTS --data labelled_500.tar [--out FILE]

The temperature is divided out of both heads, so every file that is built from the weights has it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from deploy_core import embedded, settings
from deploy_core.evaluation import evaluate, scores
from deploy_core.evaluation.labelled import LabelledSet
from deploy_core.evaluation.scores import PredictionColumns, Score
from deploy_core.inference.classify import tensor_from
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.pictures import pool
from deploy_core.settings import Settings
from deploy_core.training.export import export

HEADS = ("head", "head_dist")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", type=Path, help="the weights of a training run")
    parser.add_argument("--data", type=Path, required=True, help="photographs in one folder for each class")
    parser.add_argument("--out", type=Path, default=embedded.WEIGHTS, help="where the calibrated weights go")
    arguments = parser.parse_args()
    limits = settings.load()
    model = load.load("demo", str(arguments.weights), limits)
    logits, true = answers(model, evaluate.open_pictures(arguments.data, model.spec, limits), limits)
    divisor = temperature(logits[::2], true[::2])
    print(f"temperature {divisor:.4f}, from every other of {len(true)} photographs")
    for name, divided in (("before", logits[1::2]), ("after", logits[1::2] / divisor)):
        score = _score(divided, true[1::2])
        print(
            f"{name}, on the other {score.count}: calibration error {score.ece:.2%} (a perfectly calibrated model has "
            f"about {score.ece_by_chance:.2%} by chance), mean certainty {score.mean_probability:.2%}, "
            f"top-1 {score.top1:.2%}"
        )
    divide(model.module, divisor)
    export(model.module, arguments.out)


def answers(model: LoadedModel, pictures: LabelledSet, limits: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits, float32 (N, classes), and the true classes, int64 (N,), of the pictures in the order of their names.

    Pictures that cannot be read are left out.
    """
    reading = pool.shared(limits)
    found = []
    for shard in evaluate.shards(pictures, model.spec):
        for name, index, data in zip(shard.names, shard.classes, shard.data, strict=True):
            if data is not None:
                prepared = reading.prepare(data, model.spec.preprocessing, whole=True)
                with torch.inference_mode():
                    found.append((name, index, model.module(tensor_from(prepared, model.spec))))
    found.sort(key=lambda answer: answer[0])
    return torch.cat([logits for *_, logits in found]), torch.tensor([index for _, index, _ in found])


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature that calibrates logits: dividing them by it gives the smallest cross entropy.

    ``logits`` are float32 (N, classes), ``labels`` int64 (N,). Guo et al., "On Calibration of Modern Neural Networks",
    arXiv 1706.04599.
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
def divide(module: torch.nn.Module, divisor: float) -> None:
    """Divides the logits of a distilled DeiT by ``divisor``: its weights change, its top-1 does not."""
    for name in HEADS:
        head = module.get_submodule(name)
        for parameter in head.parameters():
            parameter.div_(divisor)


def _score(logits: torch.Tensor, true: torch.Tensor) -> Score:
    best = logits.softmax(1).max(1)
    among = (logits.topk(5).indices == true.unsqueeze(1)).any(1)
    columns = PredictionColumns(
        tuple(best.indices.tolist()), tuple(best.values.tolist()), tuple(among.tolist()), seconds=0.0
    )
    return scores.score(columns, true.tolist(), {})


if __name__ == "__main__":
    main()
