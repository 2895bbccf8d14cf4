"""Models that people choose instead of DeiT, beside DeiT-Tiny in one interleaved run of ONNX Runtime, float32.

    python -m benchmarks.alternatives [--seconds 60] [--save]

The weights are random: speed and size are compared, not answers. With ``--save`` the page Profile shows the result.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from deploy_core import documents, embedded
from deploy_core.formats.exporting import quiet, with_plain_attention
from deploy_core.formats.onnx import running
from deploy_core.profile import intervals
from deploy_core.profile.measure import host, rounds
from deploy_core.profile.measure.rounds import Until
from deploy_core.profile.verdict.alternatives import ComparedModel, Comparison

# The first is the one that the others are compared with. All are timm's names.
MODELS = {
    "deit_tiny_patch16_224": "DeiT-Tiny",
    "mobilenetv4_conv_small": "MobileNetV4-Conv-Small",
    "fastvit_t8": "FastViT-T8",
    "efficientformer_l1": "EfficientFormer-L1",
}
BOUND = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time to measure")
    parser.add_argument("--save", action="store_true", help="show the result on the page Profile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.seconds)
    if options.save:
        documents.write(embedded.SAVED_ALTERNATIVES, found)
    for model in found.models:
        low, high = model.interval
        print(f"{model.title:24} {model.megabytes:6.1f} MB  {model.ratio:.2f} ({low:.2f} to {high:.2f}) of DeiT-Tiny")


def measure(folder: Path, seconds: float) -> Comparison:
    """Exports all models into ``folder``, and times them in turn."""
    import torch

    files = {name: folder / f"{name}.onnx" for name in MODELS}
    sides = {name: export(name, path) for name, path in files.items()}
    contenders: dict[str, Callable[[], object]] = {
        name: partial(running.load(path), torch.zeros(1, 3, sides[name], sides[name])) for name, path in files.items()
    }
    samples = rounds.time_in_rounds(contenders, Until(BOUND, seconds)).samples
    known = intervals.estimates(samples)
    return Comparison(
        date=datetime.now(UTC).date().isoformat(),
        cpu=host.describe().cpu,
        threads=torch.get_num_threads(),
        models=tuple(
            ComparedModel(
                timm_name=name,
                title=title,
                side=sides[name],
                megabytes=files[name].stat().st_size / 1e6,
                milliseconds=known[name].median,
                ratio=known[name].ratio,
                interval=known[name].ratio_interval or (0.0, 0.0),
            )
            for name, title in MODELS.items()
        ),
    )


def export(name: str, path: Path) -> int:
    """Writes the model with random weights, as its makers run it on a phone. Returns the side of its input."""
    import timm
    import torch
    from timm.utils.model import reparameterize_model

    model = timm.create_model(name, pretrained=False).eval()
    config = timm.get_pretrained_cfg(name)
    assert config is not None  # noqa: S101
    _, _, side = config.input_size
    with quiet():
        exported = torch.onnx.export(
            with_plain_attention(reparameterize_model(model)),
            (torch.zeros(1, 3, side, side),),
            dynamo=True,
            verbose=False,
            input_names=[running.INPUT],
            output_names=[running.OUTPUT],
        )
    assert exported is not None  # noqa: S101
    path.write_bytes(exported.model_proto.SerializeToString())
    return side


if __name__ == "__main__":
    main()
