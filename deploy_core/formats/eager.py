"""The original: the model's float weights as safetensors, run by eager PyTorch. All others are compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidArtifact, StorageFailed
from deploy_core.formats import operators
from deploy_core.formats.format import ORIGINAL_KEY, Format, FormatFamily, Workbench
from deploy_core.formats.operators import Run
from deploy_core.models import load
from deploy_core.models.own import card
from deploy_core.types import BuildResult


def _convert(bench: Workbench) -> Any:
    return bench.model.module.state_dict()


def _save(bench: Workbench, state: Any, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(state, path, metadata={card.MODEL_KEY: card.header(bench.model.spec)})
    except SafetensorError as error:
        raise StorageFailed(f"{path.parent} took no more data ({error}).", "Free some space and try again.") from error


def _load(path: Path) -> Run:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(card.MODEL_KEY)
            # Not copied: artifacts are replaced whole, never written to.
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InvalidArtifact(f"{path.name} is damaged.", "Build it again.") from error
    if text is None:
        raise InvalidArtifact(
            f"{path.name} holds weights, but does not say which model they belong to.",
            "Pass it as --weights with a --model.",
        )
    return load.module_of(card.from_header(text, path), state, path.name)


def _effect(result: BuildResult) -> str:
    megabytes = sum(artifact.bytes for artifact in result.artifacts if artifact.format == ORIGINAL_KEY) / 1e6
    return f"The yardstick: {megabytes:.1f} MB of float32 weights, run by eager PyTorch."


ROWS = (
    Format(
        key=ORIGINAL_KEY,
        family=FormatFamily("PyTorch", about=""),
        title="Original",
        summary="The float32 weights, run by eager PyTorch: the yardstick for every other format.",
        suffix=".safetensors",
        colour="#7d56b8",
        weight_bytes=4,
        is_program=False,
        probe=lambda: None,
        needs=None,
        options=(),
        packages={"torch": "2.12.1", "timm": "1.0.31"},
        convert=_convert,
        save=_save,
        effort=0.5,
        library_bytes=0,
        copies=1.5,
        least_cosine=0.9999,
        effect=_effect,
        load=_load,
        load_as_on_phone=None,
        takes_batches=True,
        run_engine=lambda: "torch",
        runtime_package="torch",
        runs_in_torch=True,
        observe=operators.by_torch(_load),
        delegate=None,
        runtimes=(),
        inspect=lambda _: (),
        app_code="timm",
        runs_in_client=False,
    ),
)
