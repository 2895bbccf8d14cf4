"""Code for an app: the templates of a format's family, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

from deploy_core.bundle.contents import (
    APP_CODE,
    COMMON,
    ENGINE_TIE,
    README,
    TEMPLATE,
)
from deploy_core.bundle.preprocessing import interpolation_words
from deploy_core.formats import Format
from deploy_core.models.families import TIMMS_EPS
from deploy_core.models.spec import ModelSpec
from deploy_core.types import Artifact, Preprocessing, Verdict


def app_code(row: Format, values: Mapping[str, object]) -> dict[str, bytes]:
    return {
        name: filled(template, {**values, "runtimes": _runtimes(row, template.parent.name)}).encode()
        for name, template in _templates(row).items()
    }


def code_values(row: Format, artifact: Artifact, spec: ModelSpec, how: Preprocessing) -> dict[str, object]:
    versions = {f"version_{package}": version for package, version in row.versions().items()}
    return {
        **versions,
        "file": artifact.file,
        "size": how.crop,
        "resize": how.resize,
        "mean": ", ".join(str(value) for value in how.mean),
        "std": ", ".join(str(value) for value in how.std),
        "interpolation": interpolation_words(how),
        "resampling": how.interpolation.upper(),
        "filter": how.interpolation,
        "crop_mode": how.crop_mode,
        "least_cosine": row.least_cosine,
        "near_tie": ENGINE_TIE,
        **{f"verdict_{verdict.name.lower()}": verdict.value for verdict in Verdict},
        "timm_name": spec.timm_name,
        "timm_options": dict(spec.timm_options),
        "norms": _norms(spec),
    }


def _norms(spec: ModelSpec) -> str:
    """The lines that set the epsilon of norms, where it is not timm's."""
    if spec.architecture is None or spec.architecture.variant.norm_eps == TIMMS_EPS:
        return ""
    return (
        "for part in model.modules():\n"
        "    if isinstance(part, torch.nn.LayerNorm):\n"
        f"        part.eps = {spec.architecture.variant.norm_eps}\n"
    )


def _templates(row: Format) -> dict[str, Path]:
    """The templates of the row's app code by their names in the bundle, with the common ones of each platform."""
    if row.app_code is None:
        return {}
    platforms = sorted(folder.name for folder in (APP_CODE / row.app_code).iterdir())
    found = [
        template
        for platform in platforms
        for folder in (COMMON / platform, APP_CODE / row.app_code / platform)
        for template in sorted(folder.glob(f"*{TEMPLATE}"))
    ]
    return {f"{template.parent.name}/{template.name.removesuffix(TEMPLATE)}": template for template in found}


def _runtimes(row: Format, platform: str) -> str:
    installs = [
        runtime.install for runtime in row.runtimes if platform in {known.app_folder for known in runtime.platforms}
    ]
    return "; ".join(installs) or f"see {README}"


def filled(template: Path, values: Mapping[str, object]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)
