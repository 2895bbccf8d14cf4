"""DeiT Deploy: from a Vision Transformer's checkpoint to a file that runs on a phone.

These names are for scripts; docs/api.md describes them. ``python -m deploy_core`` is the command line.

    from pathlib import Path
    import deploy_core as dd

    settings = dd.load_settings()
    model = dd.open_model("demo", "pretrained", settings)
    print(model.classify("cat.jpg", settings).top[0].label)
    dd.build_into(Path("artifacts"), dd.BuildRequest("demo", "pretrained", ("lite",)), settings)
    dd.bundle_file(Path("artifacts/demo_optimized_scripted_quantized.ptl"), settings)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy_core.build import build_into, read_result
    from deploy_core.bundle.check import verify as verify_bundle
    from deploy_core.bundle.contents import BundleCheck
    from deploy_core.errors import DeployError
    from deploy_core.evaluation.evaluate import evaluate, open_pictures
    from deploy_core.evaluation.results import Evaluation
    from deploy_core.evaluation.subjects import open_subject
    from deploy_core.formats import FORMATS
    from deploy_core.inference.classify import Classifier, open_artifact, open_model
    from deploy_core.models.catalogue import MODELS
    from deploy_core.models.load import find as find_model
    from deploy_core.models.own.bring import bring as import_checkpoint
    from deploy_core.models.own.corrections import Corrections
    from deploy_core.profile.measure.run import Options as ProfileOptions
    from deploy_core.profile.measure.run import profile as profile_files
    from deploy_core.profile.record.record import Record as ProfileRecord
    from deploy_core.settings import Settings
    from deploy_core.settings import load as load_settings
    from deploy_core.storage.bundles import bundle_file
    from deploy_core.types import Artifact, BuildRequest, BuildResult, Prediction

# Where each public name is defined. Each is imported when it is first used, so that ``import deploy_core`` is quick.
PUBLIC = {
    "load_settings": "settings.load",
    "Settings": "settings.Settings",
    "DeployError": "errors.DeployError",
    "MODELS": "models.catalogue.MODELS",
    "find_model": "models.load.find",
    "import_checkpoint": "models.own.bring.bring",
    "Corrections": "models.own.corrections.Corrections",
    "open_model": "inference.classify.open_model",
    "open_artifact": "inference.classify.open_artifact",
    "Classifier": "inference.classify.Classifier",
    "Prediction": "types.Prediction",
    "FORMATS": "formats.FORMATS",
    "BuildRequest": "types.BuildRequest",
    "build_into": "build.build_into",
    "read_result": "build.read_result",
    "BuildResult": "types.BuildResult",
    "Artifact": "types.Artifact",
    "bundle_file": "storage.bundles.bundle_file",
    "verify_bundle": "bundle.check.verify",
    "BundleCheck": "bundle.contents.BundleCheck",
    "open_pictures": "evaluation.evaluate.open_pictures",
    "open_subject": "evaluation.subjects.open_subject",
    "evaluate": "evaluation.evaluate.evaluate",
    "Evaluation": "evaluation.results.Evaluation",
    "profile_files": "profile.measure.run.profile",
    "ProfileOptions": "profile.measure.run.Options",
    "ProfileRecord": "profile.record.record.Record",
}

__all__ = [
    "FORMATS",
    "MODELS",
    "Artifact",
    "BuildRequest",
    "BuildResult",
    "BundleCheck",
    "Classifier",
    "Corrections",
    "DeployError",
    "Evaluation",
    "Prediction",
    "ProfileOptions",
    "ProfileRecord",
    "Settings",
    "build_into",
    "bundle_file",
    "evaluate",
    "find_model",
    "import_checkpoint",
    "load_settings",
    "open_artifact",
    "open_model",
    "open_pictures",
    "open_subject",
    "profile_files",
    "read_result",
    "verify_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PUBLIC[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return __all__
