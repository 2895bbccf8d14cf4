"""The bundle's README."""

from __future__ import annotations

from pathlib import Path

from deploy_core.bundle.code import filled
from deploy_core.bundle.contents import (
    APP_CODE,
    CHECK,
    README,
    TEMPLATE,
    Expected,
    Versions,
    kind_of_weights,
)
from deploy_core.formats import Format
from deploy_core.inference import proof_words
from deploy_core.models.own import assumptions
from deploy_core.models.spec import ModelSpec
from deploy_core.types import Artifact, BuildResult


def readme(
    row: Format,
    artifact: Artifact,
    build: BuildResult,
    spec: ModelSpec,
    versions: Versions,
    expected: Expected,
    code: tuple[str, ...],
) -> str:
    options = [value for value in (versions.engine, versions.optimize) if value]
    packages = [f"{name} {version}" for name, version in versions.packages.items()]
    values = {
        "file": artifact.file,
        "title": row.title,
        "summary": row.summary,
        "model": spec.name,
        "model_title": spec.title,
        "knows": spec.knows,
        "classes": len(expected.logits),
        "weights_text": {"pretrained": "pretrained", "random": "untrained: its answers mean nothing"}.get(
            versions.weights, "with the weights of a checkpoint"
        ),
        "size": expected.shape[-1],
        "megabytes": f"{artifact.bytes / 1e6:.2f}",
        "sha256": artifact.sha256,
        "built_with": ", ".join(packages + [f"option {value}" for value in options]),
        "assumed_rows": "".join(f"| assumed, nothing says it | {line} |\n" for line in assumptions.sentences(spec)),
        "proof": "\n".join(f"- {line}" for line in _proof(row, artifact)),
        "runtimes_list": "\n".join(
            f"- {runtime.name} {runtime.version} or later, {runtime.places}: {runtime.install}"
            for runtime in row.runtimes
        )
        or "- Python, with the packages named above",
        "app_code_rows": "".join(f"| `{name}` | code that uses it, to start from |\n" for name in code),
        "cosine": expected.tolerance.cosine,
        "top1_text": f", and the same first answer, or one less than {expected.tolerance.near_tie} behind it"
        if expected.tolerance.same_top1
        else "",
        "check_text": " The app code has a function for it, `verdict`."
        if any(Path(name).stem == CHECK for name in code)
        else "",
        "answered": f"what `{artifact.file}` answered to it under {expected.engine}"
        if row.runs_here
        else "what the original answered to it in PyTorch",
        "licence": _licence(spec, build.weights),
    }
    return filled(APP_CODE / f"{README}{TEMPLATE}", values)


def _proof(row: Format, artifact: Artifact) -> list[str]:
    lines = [
        f"**{proof_words.of_file(artifact)}**: {proof_words.of_file_explained(artifact)}",
        *proof_words.file_sentences(artifact),
    ]
    if artifact.disagrees:
        lines.append("**That is further off than this format should be: check it on pictures of your own first.**")
    if artifact.delegation:
        rest = ", ".join(artifact.delegation.undelegated) or "none"
        lines.append(f"The delegate runs {artifact.delegation.percent:.1f} % of the operators; the others: {rest}.")
    if artifact.calibration:
        known = artifact.calibration
        lines.append(
            f"Calibrated on {known.pictures} pictures: {known.source} (SHA-256 of the inputs: `{known.sha256}`)."
        )
    if row.is_int8:
        lines.append("An int8 file rounds in the way of the engine that runs it: expect a phone to differ a little.")
    return lines + [finding.text if finding.holds else f"**{finding.text}**" for finding in artifact.findings]


def _licence(spec: ModelSpec, weights: str) -> str:
    kind = kind_of_weights(weights)
    if kind == "random":
        return "The weights are random numbers; nobody holds rights in them."
    if kind == "checkpoint" or spec.file:
        return "The weights come from a checkpoint; ask the person who gave it about the licence."
    if spec.is_embedded:
        return (
            "Apache-2.0. This project distilled the model from EfficientNet-Lite0 (Apache-2.0, trained on "
            "ImageNet-1k), on photographs without labels."
        )
    return (
        "The weights are Apache-2.0, by Facebook Research (https://github.com/facebookresearch/deit), trained on "
        f"ImageNet-1k and published by timm as {spec.hub_id}."
    )
